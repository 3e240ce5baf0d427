"""Examples and labels cut into calibration, search and gate.

In: the usable examples of one place, or of two (one that judges, one to calibrate and search with).
Out: three disjoint sets, near-duplicates together. The gate gets all it can, at least GATE_WANTED
where there are so many. Refuses data that is too little or of one class.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.errors import UsageError
from deployopt.core.measurement import Split
from deployopt.sources.splits import IndexArray, alike, assign_splits

CALIBRATION_MAX: Final = 300
SEARCH_MAX: Final = 1_000
# About a quarter of a point at 4 % discordance; more would cost hours on a slow device.
GATE_MAX: Final = 20_000
CALIBRATION_SHARE: Final = 0.10
SEARCH_SHARE: Final = 0.15
GATE_WANTED: Final = 3_000
EXAMPLES_MIN: Final = 30
_SPARE: Final = 300
_TRIES: Final = 16
# The pool to calibrate and search from is sampled before near-duplicates are looked for.
_POOL_FACTOR: Final = 4
# Of what does not judge, the part that calibrates.
_CALIBRATION_PART: Final = 4
_CLASSES_MIN: Final = 2


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """The most examples of each split."""

    calibration: int = CALIBRATION_MAX
    search: int = SEARCH_MAX
    gate: int = GATE_MAX


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """Contents that tell examples apart (texts, or digests as bytes), and their classes."""

    keys: Sequence[str] | Sequence[bytes]
    classes: tuple[int, ...] | None


def cut(data: Labelled, *, salt: str, sizes: Sizes, where: str) -> dict[Split, IndexArray]:
    """Three splits of one place.

    Raises:
        UsageError: too few examples, or one class.
    """
    count = len(data.keys)
    _check(data, where)
    wanted = _wanted(count, sizes)
    shares = {split.value: wanted[split] / count for split in wanted}
    for attempt in range(_TRIES):
        found = assign_splits(data.keys, shares=shares, salt=f"{salt}/{attempt}")
        splits = {split: found.indices[split.value] for split in wanted}
        # The assignment is by hash: with little data a split can come out far smaller than asked.
        if all(len(splits[split]) * 2 >= wanted[split] for split in wanted):
            break
    else:
        raise UsageError(
            f"{where} cannot be split: most of its {count} examples are near-duplicates of one "
            f"another ({found.groups} groups). Give more varied examples."
        )
    splits[Split.CALIBRATION] = splits[Split.CALIBRATION][: sizes.calibration]
    splits[Split.SEARCH] = splits[Split.SEARCH][: sizes.search]
    splits[Split.GATE] = splits[Split.GATE][: sizes.gate]
    _check_gate(data, splits[Split.GATE], where)
    return splits


def cut_two(
    gate: Labelled, work: Labelled, *, salt: str, sizes: Sizes, where: str
) -> tuple[dict[Split, IndexArray], int]:
    """The gate from one place, the others from `work`; how many of `work` resembled the gate.

    Positions of the gate are in `gate`, the others in `work`.
    """
    _check(gate, where)
    _check(work, where)
    needed = (sizes.calibration + sizes.search) * _POOL_FACTOR
    pool = sorted(range(len(work.keys)), key=lambda at: _rank(work.keys[at], salt))[:needed]
    both = [*gate.keys, *(work.keys[at] for at in pool)]
    groups = alike(both)
    judged = set(groups[: len(gate.keys)].tolist())
    seen: set[int] = set()
    kept: list[int] = []
    dropped = 0
    for at, group in zip(pool, groups[len(gate.keys) :].tolist(), strict=True):
        dropped += group in judged
        if group not in judged and group not in seen:
            kept.append(at)
        seen.add(group)
    first = min(sizes.calibration, len(kept) // _CALIBRATION_PART)
    second = min(sizes.search, len(kept) - first)
    if first == 0 or second == 0:
        raise UsageError(f"{where}: nearly all examples to calibrate with resemble the gate's.")
    return {
        Split.CALIBRATION: np.array(kept[:first], dtype=np.int64),
        Split.SEARCH: np.array(kept[first : first + second], dtype=np.int64),
        Split.GATE: np.arange(len(gate.keys), dtype=np.int64),
    }, dropped


def _rank(key: str | bytes, salt: str) -> bytes:
    content = key.encode() if isinstance(key, str) else key
    return hashlib.sha256(salt.encode() + b"\0" + content).digest()


def _wanted(count: int, sizes: Sizes) -> dict[Split, int]:
    calibration = min(sizes.calibration, max(1, round(count * CALIBRATION_SHARE)))
    search = min(sizes.search, max(1, round(count * SEARCH_SHARE)))
    room = count - GATE_WANTED
    if _SPARE <= room < calibration + search:
        scale = room / (calibration + search)
        calibration, search = max(1, int(calibration * scale)), max(1, int(search * scale))
    return {
        Split.CALIBRATION: calibration,
        Split.SEARCH: search,
        Split.GATE: count - calibration - search,
    }


def _check(data: Labelled, where: str) -> None:
    if len(data.keys) < EXAMPLES_MIN:
        raise UsageError(
            f"{where} holds {len(data.keys)} usable examples; at least {EXAMPLES_MIN} are needed "
            f"to fill three splits, and about {GATE_WANTED} to certify a loss of one point."
        )
    _check_gate(data, np.arange(len(data.keys), dtype=np.int64), where)


def _check_gate(data: Labelled, rows: IndexArray, where: str) -> None:
    if (
        data.classes is not None
        and len({data.classes[row] for row in rows.tolist()}) < _CLASSES_MIN
    ):
        raise UsageError(
            f"{where} holds examples of one class only, so nothing can be told of the model's "
            "errors. Give examples of all its classes."
        )


def without_duplicates(
    keys: Sequence[str], classes: Sequence[int]
) -> tuple[list[int], dict[str, int]]:
    """Positions to keep: the first of each content; contents with two labels go altogether.

    Also counts of what was left out: `duplicates`, `contradictions`, `empty`.
    """
    labels: dict[str, set[int]] = {}
    for key, label in zip(keys, classes, strict=True):
        labels.setdefault(key, set()).add(label)
    kept: list[int] = []
    counts = {"duplicates": 0, "contradictions": 0, "empty": 0}
    seen: set[str] = set()
    for at, key in enumerate(keys):
        if not key.strip():
            counts["empty"] += 1
        elif len(labels[key]) > 1:
            counts["contradictions"] += 1
        elif key in seen:
            counts["duplicates"] += 1
        else:
            kept.append(at)
        seen.add(key)
    return kept, counts


def left_out(counts: Mapping[str, int], where: str) -> tuple[str, ...]:
    """One sentence for a person, where something was left out."""
    said = {
        "duplicates": "repeated",
        "contradictions": "labelled in two ways",
        "empty": "without text",
    }
    parts = [f"{number} {said[name]}" for name, number in counts.items() if number]
    return (f"{where}: rows left out: {', '.join(parts)}.",) if parts else ()
