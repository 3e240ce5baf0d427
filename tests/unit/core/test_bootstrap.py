"""BCa bounds, held against scipy."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from deployopt.core.bootstrap import bca_bounds

Indices = npt.NDArray[np.intp]


def test_against_scipy_on_a_skewed_statistic() -> None:
    values = np.random.default_rng(2).exponential(size=60)
    ours = bca_bounds(lambda i: float(values[i].var()), 60, seed=1)
    theirs = stats.bootstrap(
        (values,),
        np.var,
        n_resamples=40_000,
        confidence_level=0.9,
        method="BCa",
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert ours.estimate == pytest.approx(values.var())
    assert ours.lower == pytest.approx(theirs.low, rel=0.03)
    assert ours.upper == pytest.approx(theirs.high, rel=0.04)


def test_same_seed_same_bounds() -> None:
    values = np.random.default_rng(2).normal(size=40)

    def loss(i: Indices) -> float:
        return float(np.median(values[i]))

    assert bca_bounds(loss, 40, seed=5) == bca_bounds(loss, 40, seed=5)
    assert bca_bounds(loss, 40, seed=5, confidence=0.99).upper >= bca_bounds(loss, 40, seed=5).upper


def test_what_does_not_vary_settles_nothing() -> None:
    bounds = bca_bounds(lambda _: 0.0, 20, seed=1)
    assert (bounds.estimate, bounds.lower, bounds.upper) == (0.0, -math.inf, math.inf)


def test_a_resample_without_a_value_settles_nothing() -> None:
    labels = np.array([1] + [0] * 19)
    bounds = bca_bounds(lambda i: math.nan if labels[i].sum() == 0 else 0.1, 20, seed=1)
    assert bounds.upper == math.inf


def test_few_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="10000"):
        bca_bounds(lambda _: 0.0, 20, seed=1, resamples=9_999)
