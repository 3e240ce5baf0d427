"""Wilson's interval: published values, its edges, and its coverage of the share itself."""

import pytest

from deployopt.core.wilson import wilson_interval


@pytest.mark.parametrize(
    ("count", "n", "lower", "upper"),
    # As scipy's binomtest gives them.
    [
        (8, 10, 0.4902, 0.9433),
        (0, 20, 0.0, 0.1611),
        (20, 20, 0.8389, 1.0),
        (875, 1000, 0.8531, 0.8940),
    ],
)
def test_known_values(count: int, n: int, lower: float, upper: float) -> None:
    assert wilson_interval(count, n) == pytest.approx((lower, upper), abs=1e-4)


def test_more_confidence_is_wider_and_mirrors() -> None:
    one, other = wilson_interval(30, 100, 0.95), wilson_interval(30, 100, 0.99)
    assert other[0] < one[0] < 0.3 < one[1] < other[1]
    assert wilson_interval(70, 100) == pytest.approx((1 - one[1], 1 - one[0]))


@pytest.mark.parametrize(("count", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_counts_that_do_not_fit(count: int, n: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson_interval(count, n)
