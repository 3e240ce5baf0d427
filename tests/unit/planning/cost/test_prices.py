"""Prices and ranges of prices."""

import pytest

from deployopt.planning.cost.prices import Rate


def test_a_rate_is_one_price_or_a_range() -> None:
    one = Rate(amount=0.5, as_of="2024", source="a list")
    two = Rate(amount=(0.4, 0.8), as_of="2024", source="a list")
    assert (one.low, one.middle, one.high) == (0.5, 0.5, 0.5)
    assert two.low == 0.4
    assert two.middle == pytest.approx(0.6)
    assert two.high == 0.8


@pytest.mark.parametrize("amount", [-1.0, (2.0, 1.0), 1e9, float("nan"), float("inf"), (-1.0, 1.0)])
def test_what_is_no_price_is_refused(amount: float | tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="is not a price"):
        Rate(amount=amount, as_of="2024", source="a list")
