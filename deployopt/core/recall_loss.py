"""The loss in recall at 1 of an image-text model, whose pairs are each other's candidates.

In: what each pair pulls the loss by (n - 1 times what leaving it out, as a question and as a
candidate, takes off the loss), and how many pairs the two models answer unlike. Out: one-sided
bounds, or a p-value. Refuses (ValueError) fewer than 300 pairs.

Recall at 1 is no mean over independent pairs: a picture that many texts find moves all of their
answers. The spread of the pulls counts that (Tukey's jackknife), and of a statistic that is the
same whatever the order of the pairs it is on average too large rather than too small (Efron and
Stein, Ann. Statist. 9:586, 1981). The loss is that among as many candidates as there are in the
gate: among more, recall is lower, and the loss another. The bound is Student's t; while fewer than
ten pairs are answered unlike it is no closer than the share of pairs that may be at that confidence
(Clopper and Pearson), since a pair loses its own two answers at most.

benchmarks/recall_coverage.py has how often the bound is below the true loss.
"""

import math
from typing import Final

import msgspec

from deployopt.core.distributions import (
    binomial_at_most,
    proportion_upper,
    student_t_cdf,
    student_t_quantile,
)
from deployopt.core.paired import EXACT_BELOW, LossBounds

LEAST_PAIRS: Final = 300
_TINY: Final = 1e-12


class RecallLoss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Recall at 1 of both among the same pairs, the mean of both directions; shares of one."""

    reference: float
    candidate: float
    image_to_text: tuple[float, float]
    """Of the reference and of the candidate: images whose text came first."""
    text_to_image: tuple[float, float]
    unlike: int
    """Pairs with an answer, of their two, that is right in one model and wrong in the other."""
    pulls: tuple[float, ...]


class _Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The loss seen, and its error."""

    loss: float
    error: float
    pairs: int


def recall_loss_bounds(loss: RecallLoss, confidence: float) -> LossBounds:
    """Bounds on the loss, reference less candidate.

    Raises:
        ValueError: too few pairs, or a pull that is not a finite number.
    """
    seen = _summary(loss)
    reach = student_t_quantile(confidence, seen.pairs - 1) * seen.error
    lower, upper = seen.loss - reach, seen.loss + reach
    if loss.unlike < EXACT_BELOW:
        rare = proportion_upper(loss.unlike, seen.pairs, confidence)
        lower, upper = min(lower, -rare), max(upper, rare)
    return LossBounds(estimate=seen.loss, lower=lower, upper=upper)


def recall_loss_p_value(loss: RecallLoss, margin: float) -> float:
    """Return the p-value against "the loss is at least `margin`".

    At most alpha exactly when the upper bound at 1 - alpha is at most the margin.

    Raises:
        ValueError: as above.
    """
    seen = _summary(loss)
    p_value = student_t_cdf((seen.loss - margin) / (seen.error + _TINY), seen.pairs - 1)
    if loss.unlike >= EXACT_BELOW:
        return p_value
    return max(p_value, binomial_at_most(loss.unlike, seen.pairs, margin))


def _summary(loss: RecallLoss) -> _Summary:
    pairs = len(loss.pulls)
    if pairs < LEAST_PAIRS:
        raise ValueError(f"recall needs at least {LEAST_PAIRS} pairs, got {pairs}")
    if not all(math.isfinite(pull) for pull in loss.pulls):
        raise ValueError("what each pair pulls the loss by must be finite")
    mean = math.fsum(loss.pulls) / pairs
    squares = math.fsum((pull - mean) ** 2 for pull in loss.pulls) / (pairs - 1)
    return _Summary(
        loss=loss.reference - loss.candidate, error=math.sqrt(squares / pairs), pairs=pairs
    )
