"""COCO's mean average precision (mAP) over weighted images, so that one can be left out cheaply.

In: for every class a model's detections, ranked by score, and which of them found a box at each IoU
threshold (matching.py). Out: mAP, the mean over classes and thresholds of the precision at 101
recalls: what pycocotools says (AP@[.5:.95]). Also what becomes of it without each image in turn,
and with all that was found in it missed. There the precision is taken at every recall that is
reached: between 101 fixed ones an image more or less makes jumps, which would drown what it really
changes.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

_RECALLS: Final = np.linspace(0.0, 1.0, 101)
_BLOCK: Final = 2**22
"""Numbers of one array between two steps."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


class ClassTable(msgspec.Struct, frozen=True, kw_only=True):
    """One model's detections of one class, best score first.

    `images` says of which image each is; `found` and `counts`, `[thresholds, detections]`, whether
    it found a box, and whether it counts at all (one that meets a crowd does not). `boxes` is how
    many there are to find in each image.
    """

    images: Positions
    found: Bools
    counts: Bools
    boxes: Floats

    @property
    def touched(self) -> Positions:
        """The images with a box or a detection of the class."""
        return np.union1d(np.flatnonzero(self.boxes), self.images)


def mean_precision(tables: Sequence[ClassTable], weights: Floats) -> Floats:
    """MAP for each row of `weights`, `[rows, images]`: how often each image is there."""
    total, classes = np.zeros(len(weights)), np.zeros(len(weights))
    for table in tables:
        seen = table.touched
        _add(
            total, classes, _precision(table, seen, weights[:, seen], weights[:, seen], fixed=True)
        )
    return _mean(total, classes)


def whole_precision(tables: Sequence[ClassTable]) -> float:
    """MAP of all images; not a number where there is no box."""
    images = len(tables[0].boxes) if tables else 0
    return float(mean_precision(tables, np.ones((1, images)))[0])


def changes_without_each(tables: Sequence[ClassTable]) -> Floats:
    """By how much mAP rises `[images]` when each is left out in turn."""
    return _changes(tables, leave_out=True)


def changes_spoiled_by_each(tables: Sequence[ClassTable]) -> Floats:
    """By how much it rises, below 0, when all that was found in each in turn is missed."""
    return _changes(tables, leave_out=False)


def _changes(tables: Sequence[ClassTable], *, leave_out: bool) -> Floats:
    images = len(tables[0].boxes) if tables else 0
    total, classes = np.zeros(images + 1), np.zeros(images + 1)
    for table in tables:
        seen = table.touched
        here = np.empty(images + 1)
        everything = np.ones((1, len(seen)))
        here[:] = _precision(table, seen, everything, everything, fixed=False)[0]
        for rows in _blocks(len(seen), len(table.images)):
            found = np.ones((len(rows), len(seen)))
            found[np.arange(len(rows)), rows] = 0.0
            there = found if leave_out else np.ones_like(found)
            here[seen[rows]] = _precision(table, seen, there, found, fixed=False)
        _add(total, classes, here)
    changed = _mean(total, classes)
    return np.asarray(changed[:-1] - changed[-1])


def _blocks(rows: int, width: int) -> Iterator[Positions]:
    step = max(1, _BLOCK // max(1, width))
    return (np.arange(at, min(at + step, rows)) for at in range(0, rows, step))


def _add(total: Floats, classes: Floats, precision: Floats) -> None:
    there = np.isfinite(precision)
    total += np.where(there, precision, 0.0)
    classes += there


def _mean(total: Floats, classes: Floats) -> Floats:
    mean = np.full(len(total), np.nan)
    np.divide(total, classes, out=mean, where=classes > 0)
    return mean


def _precision(
    table: ClassTable, seen: Positions, there: Floats, found: Floats, *, fixed: bool
) -> Floats:
    """AP of a class for rows of weights over the images that it touches; NaN without a box."""
    boxes = there @ table.boxes[seen]
    place = np.searchsorted(seen, table.images)
    total = np.zeros(len(there))
    weights = there[:, place]
    ranked = np.cumsum(weights, axis=1)
    for hits, counted in zip(table.found, table.counts, strict=True):
        # Precision changes for the better only where something is found.
        at = np.flatnonzero(hits)
        hit = np.cumsum(found[:, place[at]], axis=1)
        # Few classes have crowds, whose detections do not count.
        before = ranked if counted.all() else np.cumsum(weights * counted, axis=1)
        total += _over_recalls(hit, before[:, at], boxes, fixed=fixed)
    return np.asarray(np.where(boxes > 0, total / len(table.found), np.nan))


def _over_recalls(hit: Floats, ranked: Floats, boxes: Floats, *, fixed: bool) -> Floats:
    """The mean, over recalls from 0 to 1, of the best precision at that recall or beyond."""
    if not hit.shape[1]:
        return np.zeros(len(hit))
    precision = hit / (ranked + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = hit / np.maximum(boxes, 1.0)[:, None]
    if not fixed:
        return np.asarray((best * np.diff(recall, axis=1, prepend=0.0)).sum(axis=1))
    reached = np.searchsorted(_RECALLS, recall.ravel(), side="right").reshape(recall.shape)
    # Found only by images without weight: not even recall 0 is reached.
    steps = np.diff(np.where(hit > 0, reached, 0), axis=1, prepend=0)
    return np.asarray((best * steps).sum(axis=1) / len(_RECALLS))
