"""The loss in a metric that is not a mean over examples (mAP, AUC), by a paired bootstrap.

In: a function from example indices to the loss, reference minus candidate on the same examples.
Out: one-sided BCa bounds (Efron, JASA 82:171, 1987). Refuses (ValueError) fewer resamples than
10 000. Where the bootstrap cannot speak (a resample is not finite, or all are alike) the bounds
are infinite, so that nothing is settled.
"""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from deployopt.core.distributions import normal_cdf, normal_quantile
from deployopt.core.paired import LossBounds

LEAST_RESAMPLES: Final = 10_000

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


def bca_bounds(
    loss: Callable[[Indices], float],
    n: int,
    *,
    seed: int,
    resamples: int = LEAST_RESAMPLES,
    confidence: float = 0.95,
) -> LossBounds:
    """Return the loss over n examples with bias-corrected and accelerated one-sided bounds.

    `loss` is called once on all examples, `resamples` times on examples drawn with replacement and
    n times with one left out.
    """
    if resamples < LEAST_RESAMPLES:
        raise ValueError(f"at least {LEAST_RESAMPLES} resamples are needed, got {resamples}")
    everything = np.arange(n)
    estimate = loss(everything)
    random = np.random.default_rng(seed)
    drawn: Floats = np.array([loss(random.integers(0, n, n)) for _ in range(resamples)])
    left_out: Floats = np.array([loss(np.delete(everything, i)) for i in range(n)])
    unsettled = LossBounds(estimate=estimate, lower=-math.inf, upper=math.inf)
    if not (math.isfinite(estimate) and np.isfinite(drawn).all() and np.isfinite(left_out).all()):
        return unsettled
    below = float(np.mean(drawn < estimate) + 0.5 * np.mean(drawn == estimate))
    if not 0.0 < below < 1.0 or float(np.ptp(drawn)) == 0.0:
        return unsettled
    bias = normal_quantile(below)
    shifts = np.array([bias + normal_quantile(p) for p in (1.0 - confidence, confidence)])
    stretch = 1.0 - _acceleration(left_out) * shifts
    if stretch.min() <= 0.0:
        return unsettled
    levels = [normal_cdf(bias + float(shift)) for shift in shifts / stretch]
    lower, upper = np.quantile(drawn, levels)
    return LossBounds(estimate=estimate, lower=float(lower), upper=float(upper))


def _acceleration(left_out: Floats) -> float:
    """Return the skewness of the leave-one-out losses over six (Efron's formula 6.6)."""
    pulls = left_out.mean() - left_out
    squares = float(np.sum(pulls**2))
    return float(np.sum(pulls**3)) / (6.0 * squares**1.5) if squares > 0.0 else 0.0
