"""Estimates of several builds add up, or are not known."""

from deployopt.core.evidence import Estimate
from deployopt.core.step_graph import total_estimate

ONE = Estimate(value=2.0, lower=1.0, upper=4.0, coverage=0.9, basis="a")
TWO = Estimate(value=3.0, lower=2.0, upper=5.0, coverage=0.8, basis="b")


def test_a_sum_is_as_sure_as_its_least_sure_part() -> None:
    total = total_estimate([ONE, TWO])
    assert total is not None
    assert (total.value, total.lower, total.upper, total.coverage) == (5.0, 3.0, 9.0, 0.8)


def test_what_is_not_known_is_not_guessed() -> None:
    assert total_estimate([ONE, None]) is None
    assert total_estimate([]) is None
