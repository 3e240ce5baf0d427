"""Bounds on a mean score difference, held against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deployopt.core.mean_loss import mean_loss_bounds, mean_loss_p_value

SCORES = st.lists(st.floats(-1.0, 1.0), min_size=20, max_size=80)


def _sample(seed: int, n: int) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(0.01, 0.1, n).tolist()
    return values


@pytest.mark.parametrize("seed", range(5))
def test_t_bounds_against_scipy(seed: int) -> None:
    values = _sample(seed, 200)
    bounds = mean_loss_bounds(values, confidence=0.95)
    low, high = stats.t.interval(0.9, 199, np.mean(values), stats.sem(values))
    assert (bounds.lower, bounds.upper) == pytest.approx((low, high), rel=1e-7)
    expected = stats.ttest_1samp(values, 0.02, alternative="less").pvalue
    assert mean_loss_p_value(values, 0.02) == pytest.approx(expected, rel=1e-7)


def test_clusters_of_one_change_nothing() -> None:
    values = _sample(7, 60)
    assert mean_loss_bounds(values, list(range(60))) == mean_loss_bounds(values)


def test_copies_within_a_document_add_no_evidence() -> None:
    values = _sample(3, 50)
    copies = mean_loss_bounds(np.repeat(values, 4), np.repeat(np.arange(50), 4))
    once = mean_loss_bounds(values)
    assert (copies.lower, copies.upper) == pytest.approx((once.lower, once.upper))
    assert mean_loss_bounds(np.repeat(values, 4)).upper < once.upper


def test_uneven_clusters_by_hand() -> None:
    values = np.array([0.1, 0.2, -0.1, 0.4, 0.0, 0.3] * 4)
    clusters = np.repeat(np.arange(12), [1, 3, 2, 2, 1, 3, 2, 2, 1, 3, 2, 2])
    mean = values.mean()
    sums = [float((values[clusters == g] - mean).sum()) for g in range(12)]
    error = np.sqrt(sum(s * s for s in sums) * 12 / 11) / values.size
    expected = mean + stats.t.ppf(0.95, 11) * error
    assert mean_loss_bounds(values, clusters).upper == pytest.approx(expected, rel=1e-8)


def test_equal_scores_are_no_proof_of_no_loss() -> None:
    assert mean_loss_bounds([0.0] * 30).upper == pytest.approx(1.0 - 0.05 ** (1 / 30))
    assert mean_loss_bounds([0.0] * 30, span=0.5).upper == pytest.approx(
        0.5 * (1.0 - 0.05 ** (1 / 30))
    )
    assert mean_loss_p_value([0.0] * 30, 0.01) > 0.05
    assert mean_loss_p_value([0.0] * 300, 0.01) <= 0.05


@given(SCORES, st.floats(0.001, 0.3))
def test_p_value_and_bound_agree(values: list[float], margin: float) -> None:
    bounds = mean_loss_bounds(values)
    assert bounds.lower <= bounds.estimate <= bounds.upper
    if abs(bounds.upper - margin) > 1e-8:
        assert (mean_loss_p_value(values, margin) <= 0.05) == (bounds.upper < margin)


@given(SCORES)
def test_exchanging_the_models_exchanges_the_bounds(values: list[float]) -> None:
    here, there = mean_loss_bounds(values), mean_loss_bounds([-v for v in values])
    assert here.lower == pytest.approx(-there.upper, abs=1e-12)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        mean_loss_bounds([0.1])
    with pytest.raises(ValueError, match="at least two"):
        mean_loss_bounds([0.1, 0.2], ["a", "a"])
    with pytest.raises(ValueError, match="at least two"):
        mean_loss_bounds([])
    with pytest.raises(ValueError, match="finite"):
        mean_loss_bounds([0.1, float("inf")])
    with pytest.raises(ValueError, match="clusters"):
        mean_loss_bounds([0.1, 0.2], ["a"])
