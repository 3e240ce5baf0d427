"""Differences that are told and not judged: what they bring shows in the other aspects.

In: precisions, operators with their numbers. Out: a difference that says *same* or *changed*.
"""

from collections.abc import Mapping
from typing import Final

from deployopt.core.comparison import OPERATORS, PRECISION, Change, Difference
from deployopt.core.evidence import Evidence

_NAMED: Final = 6


def precision_difference(old: str, new: str) -> Difference:
    """Told; what it brings is in the other aspects."""
    return Difference(
        aspect=PRECISION,
        outcome=Change.SAME if old == new else Change.CHANGED,
        old_words=old,
        new_words=new,
        evidence=Evidence.EXACT,
    )


def operator_difference(old: Mapping[str, int], new: Mapping[str, int]) -> Difference:
    """How many nodes of each type there are in the graphs; told, as the precision is."""
    changed = [name for name in sorted({*old, *new}) if old.get(name, 0) != new.get(name, 0)]
    changed.sort(key=lambda name: -abs(new.get(name, 0) - old.get(name, 0)))
    shown = ", ".join(f"{n} {old.get(n, 0)} → {new.get(n, 0)}" for n in changed[:_NAMED])
    more = f" and {len(changed) - _NAMED} more types" if len(changed) > _NAMED else ""
    return Difference(
        aspect=OPERATORS,
        outcome=Change.CHANGED if changed else Change.SAME,
        old=float(sum(old.values())),
        new=float(sum(new.values())),
        evidence=Evidence.EXACT,
        reason=f"{shown}{more}" if changed else "",
    )
