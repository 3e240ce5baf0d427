"""How often a candidate would choose the token that its reference chose, given the same text.

In: for each prompt, the tokens of the reference's greedy answer and how many the candidate would
choose too. Out: the share of all tokens with one-sided bounds, or a p-value against too low a one.
Prompts are the clusters. Refuses (ValueError) fewer than five prompts with an answer.

Judged is the share on which they differ, as a ratio of sums over prompts (core/ratio.py). Unlike an
NLL it is counted, so that agreement everywhere is no proof: while fewer than ten prompts show any
difference, the bound is no closer than the exact one on the share of prompts that do (Clopper and
Pearson), each counted with twice the largest difference seen, or where none was, all its tokens.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.distributions import binomial_at_most, proportion_upper
from deployopt.core.paired import EXACT_BELOW, LossBounds
from deployopt.core.ratio import PairedRatio, paired_ratio
from deployopt.core.scores import AnswerScore

_UNSEEN: Final = 2.0
"""How far beyond the largest difference of a few another one may go."""


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The share that differs, how many prompts show it, and the most that one can add to it."""

    ratio: PairedRatio
    differing: int
    most: float


def token_agreement_bounds(answers: Sequence[AnswerScore], confidence: float = 0.95) -> LossBounds:
    """The share of tokens that agree, of one, with one-sided bounds at `confidence` each."""
    seen = _seen(answers)
    upper = seen.ratio.upper(confidence)
    if seen.differing < EXACT_BELOW:
        exact = proportion_upper(seen.differing, seen.ratio.units, confidence)
        upper = max(upper, seen.most * exact)
    lower = max(0.0, seen.ratio.lower(confidence))
    return LossBounds(
        estimate=1.0 - seen.ratio.ratio, lower=max(0.0, 1.0 - upper), upper=1.0 - lower
    )


def token_agreement_p_value(answers: Sequence[AnswerScore], margin: float) -> float:
    """Against "the share that agrees is at most `margin`".

    At most alpha exactly when the lower bound at 1 - alpha is at least the margin.
    """
    seen = _seen(answers)
    if margin <= 0.0:
        return 0.0
    p_value = seen.ratio.p_value(1.0 - margin)
    if seen.differing < EXACT_BELOW and 1.0 - margin < seen.most:
        share = max(0.0, 1.0 - margin) / seen.most
        p_value = max(p_value, binomial_at_most(seen.differing, seen.ratio.units, share))
    return p_value


def _seen(answers: Sequence[AnswerScore]) -> _Seen:
    given = [one for one in answers if one.tokens]
    tokens = np.asarray([one.tokens for one in given], dtype=np.float64)
    apart = tokens - np.asarray([one.agreed for one in given], dtype=np.float64)
    ratio = paired_ratio(apart, tokens)
    differing = int(np.count_nonzero(apart))
    whole = float(tokens.max())
    largest = min(whole, _UNSEEN * float(apart.max())) if differing else whole
    return _Seen(ratio=ratio, differing=differing, most=largest / ratio.base)
