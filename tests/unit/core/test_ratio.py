"""Fieller's bound: held against the t test it inverts, and never bolder than it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deployopt.core.ratio import PairedRatio, paired_ratio

PAIRS = st.lists(
    st.tuples(st.floats(-5.0, 400.0), st.floats(1.0, 400.0)), min_size=5, max_size=60
).filter(lambda pairs: len({a / b for a, b in pairs}) > 1)


def made(pairs: list[tuple[float, float]]) -> PairedRatio:
    return paired_ratio([a for a, _ in pairs], [b for _, b in pairs])


def plain_t(pairs: list[tuple[float, float]], margin: float) -> float:
    """The p-value of the t test of c - m r, without any widening."""
    apart = [a - margin * b for a, b in pairs]
    return float(stats.ttest_1samp(apart, 0.0, alternative="less").pvalue)


def test_the_ratio_is_of_the_sums() -> None:
    found = paired_ratio([1.0, 4.0, 2.0, 8.0, 5.0], [2.0, 4.0, 4.0, 8.0, 2.0])
    assert found.ratio == pytest.approx(1.0)
    assert found.units == 5


@given(PAIRS, st.floats(0.01, 5.0))
def test_p_value_and_bound_agree(pairs: list[tuple[float, float]], margin: float) -> None:
    found = made(pairs)
    upper = found.upper()
    assert found.lower() <= found.ratio <= upper
    if abs(upper - margin) > 1e-6 * max(1.0, abs(upper)):
        assert (found.p_value(margin) <= 0.05) == (upper < margin)


@pytest.mark.parametrize("seed", range(30))
def test_it_is_never_bolder_than_a_t_test(seed: int) -> None:
    random = np.random.default_rng(seed)
    units = int(random.integers(5, 60))
    below = random.lognormal(5.0, 0.5, units)
    above = below * (1.0 + 0.02 * random.normal(1.0, 1.0, units) ** (1 + seed % 3))
    pairs = list(zip(above.tolist(), below.tolist(), strict=True))
    found = made(pairs)
    for margin in found.ratio * np.array([0.99, 1.0, 1.003, 1.01, 1.03, 1.3]):
        plain = plain_t(pairs, float(margin))
        assert found.p_value(float(margin)) >= min(plain, 0.5) * (1.0 - 1e-6)
    if math.isfinite(found.upper()):
        assert plain_t(pairs, found.upper()) <= 0.05


@given(PAIRS)
def test_a_higher_confidence_reaches_further(pairs: list[tuple[float, float]]) -> None:
    found = made(pairs)
    assert found.upper(0.9) <= found.upper(0.95) <= found.upper(0.995)
    assert found.lower(0.9) >= found.lower(0.95) >= found.lower(0.995)


def test_without_skewness_many_units_come_near_fiellers_own_bound() -> None:
    random = np.random.default_rng(3)
    below = random.uniform(90.0, 110.0, 20_000)
    above = below * (1.01 + 0.02 * random.standard_normal(20_000))
    pairs = list(zip(above.tolist(), below.tolist(), strict=True))
    upper = made(pairs).upper()
    assert plain_t(pairs, upper) == pytest.approx(0.05, abs=0.004)


def test_skewness_widens_the_side_that_a_sample_may_have_missed() -> None:
    random = np.random.default_rng(5)
    below = np.full(40, 100.0)
    lost = random.exponential(2.0, 40)
    right, left = paired_ratio(below + lost, below), paired_ratio(below - lost, below)
    assert right.upper() - right.ratio > 1.4 * (right.ratio - right.lower())
    assert right.upper() - right.ratio == pytest.approx(left.ratio - left.lower(), rel=0.05)


def test_a_base_that_is_not_told_from_zero_bounds_nothing() -> None:
    found = paired_ratio([1.0, 2.0, 1.0, 3.0, 2.0], [0.0, 0.0, 0.0, 900.0, 0.0])
    assert found.upper() == math.inf
    assert found.p_value(1e12) > 0.05


def test_what_does_not_vary_is_certain() -> None:
    found = paired_ratio([2.0, 4.0, 6.0, 8.0, 10.0], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.upper() == found.lower() == found.ratio == 2.0
    assert (found.p_value(1.9), found.p_value(2.0), found.p_value(2.1)) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("above", "below", "part"),
    [
        ([1.0] * 4, [1.0] * 4, "at least 5"),
        ([1.0] * 6, [1.0] * 5, "6/5"),
        ([1.0] * 5 + [math.nan], [1.0] * 6, "finite"),
        ([1.0] * 5, [1.0] * 4 + [math.inf], "finite"),
        ([1.0] * 5, [0.0] * 5, "positive"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    above: list[float], below: list[float], part: str
) -> None:
    with pytest.raises(ValueError, match=part):
        paired_ratio(above, below)
