"""The loss in a score that is a mean over examples (F1, WER, NLL, IoU), example by example.

In: differences, reference minus candidate where higher is better, so that a loss is positive; the
examples' clusters where some share a document. Out: one-sided t bounds, or a p-value. Refuses
(ValueError) fewer than two clusters and differences that are not finite.

A t bound around differences that are nearly all zero is narrower than the evidence: thirty
identical scores would bound the loss at exactly nothing. So, as for right and wrong, while fewer
than ten examples differ the bound is no closer than an exact one: a mean loss is at most `span`,
the largest possible difference, times the share of examples that lose (Clopper and Pearson).
"""

import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.distributions import (
    binomial_at_most,
    proportion_upper,
    student_t_cdf,
    student_t_quantile,
)
from deployopt.core.paired import EXACT_BELOW, LossBounds

Floats = npt.NDArray[np.float64]

_TINY: Final = 1e-300


class _Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the bounds need of the differences, one unit a cluster or an example."""

    mean: float
    error: float
    units: int
    losing: int
    gaining: int


def mean_loss_bounds(
    differences: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    span: float = 1.0,
) -> LossBounds:
    """Return the mean difference with one-sided bounds: mean -+ t * sd / sqrt(n).

    `clusters` gives each example's document; the error is then the cluster-robust one with G - 1
    degrees of freedom (Liang and Zeger, 1986). `span` is the most one example can differ by, in the
    score's unit: 1 for F1 and IoU.
    """
    seen = _summary(differences, clusters)
    reach = student_t_quantile(confidence, seen.units - 1) * seen.error
    lower, upper = seen.mean - reach, seen.mean + reach
    if seen.losing + seen.gaining < EXACT_BELOW:
        upper = max(upper, span * proportion_upper(seen.losing, seen.units, confidence))
        lower = min(lower, -span * proportion_upper(seen.gaining, seen.units, confidence))
    return LossBounds(estimate=seen.mean, lower=lower, upper=upper)


def mean_loss_p_value(
    differences: npt.ArrayLike,
    margin: float,
    clusters: npt.ArrayLike | None = None,
    *,
    span: float = 1.0,
) -> float:
    """Return the p-value against "the mean loss is at least `margin`".

    At most alpha exactly when the upper bound at 1 - alpha is at most the margin.
    """
    seen = _summary(differences, clusters)
    p_value = student_t_cdf((seen.mean - margin) / (seen.error + _TINY), seen.units - 1)
    if seen.losing + seen.gaining < EXACT_BELOW:
        p_value = max(p_value, binomial_at_most(seen.losing, seen.units, margin / span))
    return p_value


def _summary(differences: npt.ArrayLike, clusters: npt.ArrayLike | None) -> _Summary:
    values: Floats = np.asarray(differences, dtype=np.float64).ravel()
    if not bool(np.isfinite(values).all()):
        raise ValueError("score differences must be finite")
    labels = np.arange(values.size) if clusters is None else np.asarray(clusters).ravel()
    if labels.size != values.size:
        raise ValueError(f"{labels.size} clusters for {values.size} differences")
    _, unit = np.unique(labels, return_inverse=True)
    units = int(unit.max()) + 1 if values.size else 0
    if units < 2:  # noqa: PLR2004
        raise ValueError(f"a mean difference needs at least two examples or clusters, got {units}")
    mean = float(values.mean())
    residuals = np.bincount(unit, weights=values - mean).astype(np.float64)
    variance = float(np.sum(residuals**2)) * units / (units - 1) / values.size**2
    return _Summary(
        mean=mean,
        error=math.sqrt(variance),
        units=units,
        losing=int(np.count_nonzero(np.bincount(unit, weights=values > 0.0))),
        gaining=int(np.count_nonzero(np.bincount(unit, weights=values < 0.0))),
    )
