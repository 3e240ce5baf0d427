"""How much worse a candidate predicts text than its reference: the increase of the mean NLL.

In: the sums over each document's tokens, of both models. Out: the relative increase of the mean
negative log-likelihood a token, sum(candidate) / sum(reference) - 1 (every token weighs the same),
with one-sided bounds, or a p-value. Documents are the clusters: tokens of one text are not
independent. Refuses (ValueError) fewer than five documents, and sums that are not finite.

The formula is that of core/ratio.py (Fieller, the t of G - 1 degrees of freedom, widened).
Documents that come out exactly equal need a thought. An NLL is continuous: a model whose weights
differ gives another sum on every text, as a tie of two such sums has no probability. Where all of
them tie, both models computed the same, and the bound is rightly 0; it is no rule of three, since
there was no chance event that happened not to occur. (What shows on none of such texts is unbounded
at any number of them, as everywhere.) Where only some tie, the two differ in a part that a text may
or may not touch, and that is a chance event: while fewer than ten documents differ, the bound is no
closer than the exact one on how many do (Clopper and Pearson), each at twice the largest seen.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.distributions import binomial_at_most, proportion_upper
from deployopt.core.paired import EXACT_BELOW, LossBounds
from deployopt.core.ratio import PairedRatio, paired_ratio
from deployopt.core.scores import DocumentScore

_UNSEEN: Final = 2.0
"""How far beyond the largest difference of a few another one may go."""


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The ratio; of documents that differ how many are worse or better, and the most to expect."""

    ratio: PairedRatio
    worse: int
    better: int
    most: float

    @property
    def sparse(self) -> bool:
        """Whether ties say that a t bound has too little to rest on."""
        changed = self.worse + self.better
        return changed < min(EXACT_BELOW, self.ratio.units)


def nll_increase_bounds(documents: Sequence[DocumentScore], confidence: float = 0.95) -> LossBounds:
    """The relative increase, a share of one, with one-sided bounds at `confidence` each."""
    seen = _seen(documents)
    upper, lower = seen.ratio.upper(confidence) - 1.0, seen.ratio.lower(confidence) - 1.0
    if seen.sparse:
        units = seen.ratio.units
        upper = max(upper, seen.most * proportion_upper(seen.worse, units, confidence))
        lower = min(lower, -seen.most * proportion_upper(seen.better, units, confidence))
    return LossBounds(estimate=seen.ratio.ratio - 1.0, lower=lower, upper=upper)


def nll_increase_p_value(documents: Sequence[DocumentScore], margin: float) -> float:
    """Against "the increase is at least `margin`".

    At most alpha exactly when the upper bound at 1 - alpha is at most the margin.
    """
    seen = _seen(documents)
    p_value = seen.ratio.p_value(1.0 + margin)
    if seen.sparse and seen.most > max(0.0, margin):
        share = max(0.0, margin) / seen.most
        p_value = max(p_value, binomial_at_most(seen.worse, seen.ratio.units, share))
    return p_value


def _seen(documents: Sequence[DocumentScore]) -> _Seen:
    candidate = np.asarray([one.candidate_nll for one in documents], dtype=np.float64)
    reference = np.asarray([one.reference_nll for one in documents], dtype=np.float64)
    ratio = paired_ratio(candidate, reference)
    apart = candidate - reference
    return _Seen(
        ratio=ratio,
        worse=int(np.count_nonzero(apart > 0.0)),
        better=int(np.count_nonzero(apart < 0.0)),
        most=_UNSEEN * float(np.abs(apart).max()) / ratio.base,
    )
