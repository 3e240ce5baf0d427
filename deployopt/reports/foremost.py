"""Which candidates are shown where there are more than a person reads.

In: candidates in the order they were tried. Out: some of them, in that order: the one chosen, the
first, which the others are held against, those that none beats in both latency and loss, and then
the fastest.
"""

import math
from collections.abc import Sequence
from typing import Final

from deployopt.core.result import CandidateResult

FEW: Final = 24
"""As many rows as are read one by one."""


def foremost(candidates: Sequence[CandidateResult], most: int = FEW) -> list[int]:
    """The places of at most so many."""
    if len(candidates) <= most:
        return list(range(len(candidates)))
    front = _front(candidates)

    def rank(place: int) -> tuple[bool, bool, bool, bool, float, int]:
        one = candidates[place]
        failed = one.failure is not None
        return not one.chosen, place > 0, place not in front, failed, _latency(one), place

    return sorted(sorted(range(len(candidates)), key=rank)[:most])


def _front(candidates: Sequence[CandidateResult]) -> set[int]:
    """Those that none beats in both."""
    front: set[int] = set()
    least = math.inf
    order = sorted(range(len(candidates)), key=lambda k: (_latency(candidates[k]), k))
    for place in order:
        loss = _loss(candidates[place])
        if loss < least and _latency(candidates[place]) < math.inf:
            front.add(place)
            least = loss
    return front


def _latency(one: CandidateResult) -> float:
    value = one.latency.tail.value if one.latency is not None else None
    return math.inf if value is None else value


def _loss(one: CandidateResult) -> float:
    if one.scores is not None:
        return math.inf if one.scores.increase.value is None else one.scores.increase.value
    value = one.accuracy.loss.value if one.accuracy is not None else None
    return math.inf if value is None else value
