"""A bound against a limit."""

import math

import pytest

from deployopt.core.standing import Standing, standing_between


@pytest.mark.parametrize(
    ("lower", "upper", "standing"),
    [
        (0.5, 1.0, Standing.INSIDE),
        (0.9, 1.1, Standing.UNSETTLED),
        (1.0, 1.1, Standing.UNSETTLED),
        (1.01, 1.1, Standing.OUTSIDE),
        (-math.inf, math.inf, Standing.UNSETTLED),
        (math.nan, math.nan, Standing.UNSETTLED),
    ],
)
def test_the_whole_bound_decides(lower: float, upper: float, standing: Standing) -> None:
    assert standing_between(lower, upper, 1.0) is standing
