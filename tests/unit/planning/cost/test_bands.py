"""Bands of independent causes."""

import math

from hypothesis import given
from hypothesis import strategies as st

from deployopt.planning.cost.bands import Ends, together

values = st.floats(1e-6, 1e6)


def test_one_cause_gives_its_own_ends() -> None:
    low, high = together(10.0, [Ends(low=5.0, high=40.0)])
    assert math.isclose(low, 5.0)
    assert math.isclose(high, 40.0)


def test_two_causes_are_wider_than_either_and_narrower_than_both_at_their_worst() -> None:
    low, high = together(10.0, [Ends(low=5.0, high=20.0), Ends(low=5.0, high=20.0)])
    assert 20.0 < high < 40.0
    assert 2.5 < low < 5.0


def test_ends_on_the_wrong_side_and_nothing_at_all() -> None:
    assert together(10.0, [Ends(low=12.0, high=9.0)]) == (10.0, 10.0)
    assert together(0.0, [Ends(low=0.0, high=0.0)]) == (0.0, 0.0)


@given(value=values, ends=st.lists(st.tuples(values, values), max_size=4))
def test_the_band_holds_the_value(value: float, ends: list[tuple[float, float]]) -> None:
    causes = [Ends(low=min(pair), high=max(pair)) for pair in ends]
    low, high = together(value, causes)
    assert 0 < low <= value * (1 + 1e-12)
    assert value <= high * (1 + 1e-12)
