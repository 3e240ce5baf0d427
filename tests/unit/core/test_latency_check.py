"""A latency budget against rounds: the two rules, and what would settle it."""

import pytest

from deployopt.core.budget import parse_budget
from deployopt.core.evidence import Evidence
from deployopt.core.latency_check import latency_check
from deployopt.core.verdict import Outcome

BUDGET = parse_budget("latency_p95", "10 ms")


@pytest.mark.parametrize(
    ("rounds", "outcome", "settle"),
    [
        ([[0.009] * 20] * 5, Outcome.ACCEPTED, None),
        ([[0.011] * 20] * 5, Outcome.REJECTED, None),
        ([[0.009] * 20] * 4, Outcome.UNDECIDED, "measure at least 5 rounds"),
        ([[0.009] * 10] * 5, Outcome.UNDECIDED, "measure at least 59 requests"),
        ([[0.009] * 100] * 5 + [[0.011] * 10], Outcome.UNDECIDED, "the rounds disagree"),
        ([[0.009] * 19 + [0.011]] * 5, Outcome.UNDECIDED, None),
    ],
)
def test_the_two_rules(rounds: list[list[float]], outcome: Outcome, settle: str | None) -> None:
    check = latency_check(BUDGET, rounds)
    assert check.outcome is outcome
    if settle is not None:
        assert settle in str(check.settle)
    assert (check.settle is None) == (outcome is not Outcome.UNDECIDED)


def test_what_it_says() -> None:
    check = latency_check(BUDGET, [[0.001 * n for n in range(1, 101)]] * 5, Evidence.PROXY)
    assert check.reason.startswith("450 of 500 requests over 10.0 ms; the quantile is inside in 0")
    assert (check.evidence, check.samples) == (Evidence.PROXY, 500)
    assert check.observed == pytest.approx(0.095)


def test_a_round_without_requests_is_no_round() -> None:
    with pytest.raises(ValueError, match="without requests"):
        latency_check(BUDGET, [[0.001], []])
