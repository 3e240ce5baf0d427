"""The loss in mean average precision (mAP), which is no mean over images, by the jackknife.

In: what each image pulls the loss by (n - 1 times what leaving it out takes off the loss), how many
images are found in unlike, and what each would cost if everything found in it were missed. Out:
one-sided bounds, or a p-value. Refuses (ValueError) fewer than 300 images.

The spread of the pulls is the loss's error (Tukey's jackknife; Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 11): loss + t * sd / sqrt(n). Three things would make
that bound too bold, and each is met towards caution only. Losses are skewed, a few images losing
much: the more cautious of t and Hall's transformation of it (J. R. Statist. Soc. B 54:221, 1992)
stands. Few images flatter the worse ranking, as precision is the best at a recall or beyond: four
times the jackknife's correction for bias is added, because that bias falls with about the root of
n, and more slowly where classes are rare. And where next to nothing differs the spread is nothing
too, and says nothing. So, as for right and wrong, while fewer than ten images are found in unlike,
the bound is no closer than what the costliest images would lose, of as many as may be unlike at
that confidence (Clopper and Pearson).

benchmarks/map_coverage.py has how often the bound is below the true loss.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.distributions import proportion_upper, student_t_cdf, student_t_quantile
from deployopt.core.paired import EXACT_BELOW, LossBounds

LEAST_IMAGES: Final = 300
_BIAS: Final = 4.0
"""With 3, 6.4 % of bounds were below the loss of 30 classes, some with a dozen boxes; 5 with 4."""
_HALVINGS: Final = 60
_TINY: Final = 1e-12


class PrecisionLoss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """MAP of both on the same images, and what the bounds on the loss need; shares of one.

    `pulls` has one number an image, and so has `costs` where fewer than ten images are unlike.
    """

    reference: float
    candidate: float
    boxes: int
    """There to be found."""
    unlike: int
    """Images in which one finds other boxes than the other."""
    pulls: tuple[float, ...]
    costs: tuple[float, ...] = ()


class _Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The loss seen, its correction for bias, its error, and the skewness over the root of n."""

    loss: float
    bias: float
    error: float
    skew: float
    images: int


def precision_loss_bounds(loss: PrecisionLoss, confidence: float) -> LossBounds:
    """Bounds on the loss, reference less candidate; `estimate` is the loss as it was seen.

    Raises:
        ValueError: too few images, or a pull that is not a finite number.
    """
    seen = _summary(loss)
    quantile = student_t_quantile(confidence, seen.images - 1)
    upper = seen.loss + max(0.0, seen.bias) + _reach(quantile, seen.skew) * seen.error
    lower = seen.loss + min(0.0, seen.bias) - _reach(quantile, -seen.skew) * seen.error
    if loss.unlike < EXACT_BELOW:
        rare = _rare(loss, confidence)
        lower, upper = min(lower, -rare), max(upper, rare)
    return LossBounds(estimate=seen.loss, lower=lower, upper=upper)


def precision_loss_p_value(loss: PrecisionLoss, margin: float) -> float:
    """Return the p-value against "the loss is at least `margin`".

    At most alpha exactly when the upper bound at 1 - alpha is at most the margin.

    Raises:
        ValueError: as above.
    """
    seen = _summary(loss)
    below = (seen.loss + max(0.0, seen.bias) - margin) / (seen.error + _TINY)
    either = (below, _transformed(below, seen.skew))
    p_value = max(student_t_cdf(t, seen.images - 1) for t in either)
    if loss.unlike >= EXACT_BELOW:
        return p_value
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = 0.0 < 1.0 - middle < 1.0 and _rare(loss, 1.0 - middle) <= margin
        low, high = (low, middle) if enough else (middle, high)
    return max(p_value, high)


def _summary(loss: PrecisionLoss) -> _Summary:
    images = len(loss.pulls)
    if images < LEAST_IMAGES:
        raise ValueError(f"mAP needs at least {LEAST_IMAGES} images, got {images}")
    if not all(math.isfinite(x) for x in (*loss.pulls, *loss.costs)):
        raise ValueError("what each image pulls the loss by must be finite")
    if loss.unlike < EXACT_BELOW and len(loss.costs) != images:
        raise ValueError("what each image would cost is missing")
    mean = math.fsum(loss.pulls) / images
    squares = math.fsum((pull - mean) ** 2 for pull in loss.pulls) / (images - 1)
    cubes = math.fsum((pull - mean) ** 3 for pull in loss.pulls) / images
    return _Summary(
        loss=loss.reference - loss.candidate,
        bias=_BIAS * mean,
        error=math.sqrt(squares / images),
        skew=cubes / (squares**1.5 * math.sqrt(images)) if squares > 0.0 else 0.0,
        images=images,
    )


def _transformed(t: float, skew: float) -> float:
    """Hall's transformation, which takes the skewness out of a t statistic."""
    return t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6


def _reach(quantile: float, skew: float) -> float:
    """How many errors above the loss the bound is: the inverse of it, and at least `quantile`."""
    if skew <= 0.0:
        return quantile
    return max(quantile, 3 / skew * (1 - math.cbrt(1 - skew * (quantile + skew / 6))))


def _rare(loss: PrecisionLoss, confidence: float) -> float:
    """The loss if as many images as may be unlike were missed altogether, the costliest of all."""
    images = len(loss.costs)
    many = images * proportion_upper(loss.unlike, images, confidence)
    dearest: Sequence[float] = sorted((max(0.0, cost) for cost in loss.costs), reverse=True)
    whole = min(images, math.floor(many))
    part = (many - whole) * dearest[whole] if whole < images else 0.0
    return math.fsum(dearest[:whole]) + part
