"""Alternatives to the first choice: from other tiers and families, with what they trade.

In: the ranked candidates. Out: three to five of them, and a sentence each.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.words import times

MOST: Final = 5
_EQUAL: Final = 0.1
"""Points, and a share of the time, below which two are called equal."""


def alternatives(order: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The best of each other tier and family first, then the next in order."""
    first, rest = order[0], list(order[1:])
    seen = {(first.entry.tier, first.entry.family)}
    picked: list[Candidate] = []
    for candidate in rest:
        kind = (candidate.entry.tier, candidate.entry.family)
        if kind not in seen:
            seen.add(kind)
            picked.append(candidate)
    picked += [candidate for candidate in rest if candidate not in picked]
    chosen = picked[:MOST]
    return tuple(candidate for candidate in rest if candidate in chosen)


def trade(other: Candidate, first: Candidate) -> str:
    """E.g. `2.1 x slower, +2.3 points, 1.6 x the parameters`."""
    said = [_speed(other, first), _points(other, first), _size(other, first)]
    return ", ".join(part for part in said if part)


def _speed(other: Candidate, first: Candidate) -> str:
    if not other.time_s or not first.time_s:
        return ""
    ratio = other.time_s / first.time_s
    if abs(ratio - 1) < _EQUAL:
        return "as fast"
    return f"{times(ratio)} slower" if ratio > 1 else f"{times(1 / ratio)} faster"


def _points(other: Candidate, first: Candidate) -> str:
    if other.points is None or first.points is None:
        return "quality not comparable"
    gained = round(other.points - first.points, 1)
    if abs(gained) < _EQUAL:
        return "equal quality"
    on = other.quality.data if other.quality else ""
    return f"{gained:+g} points on {on}"


def _size(other: Candidate, first: Candidate) -> str:
    ratio = other.entry.parameters / first.entry.parameters
    if abs(ratio - 1) < _EQUAL:
        return "as large"
    return f"{times(ratio)} the parameters"
