"""Which of several forms that answer as fast goes first at the gate: the one that lost least.

In: finalists, the fastest first, with their trials on the search split. Out: the same in the order
of their wishes. Rounds cannot tell two forms apart that differ by a few per cent; likelihoods of
the same documents can.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.nll import nll_increase_bounds
from deployopt.core.standing import Standing
from deployopt.core.summaries import compare_trials
from deployopt.pipeline.candidates import Candidate

_AS_FAST: Final = 1.05
"""Predictions of answers that are nearer than this say nothing of which is faster."""


def likelier_first(finalists: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The fastest, and those that it is not shown to be faster than, by what they lost."""
    if not finalists:
        return ()
    fastest = finalists[0]
    level = [one for one in finalists if not one.is_float and not _shown_faster(fastest, one)]
    others = [one for one in finalists if one not in level]
    return (*sorted(level, key=_increase), *others)


def _shown_faster(one: Candidate, other: Candidate) -> bool:
    if one.card is not None and other.card is not None:
        seconds = one.card.answer_s, other.card.answer_s
        return None not in seconds and _AS_FAST * (seconds[0] or 0.0) < (seconds[1] or 0.0)
    if one is other or one.trial is None or other.trial is None:
        return one is not other
    return compare_trials(one.trial, other.trial).standing is Standing.INSIDE


def _increase(candidate: Candidate) -> float:
    if candidate.scores is None:
        return float("inf")
    return nll_increase_bounds(candidate.scores.documents).estimate
