"""Reference and candidate on the same images: mAP of both, and what each image has to do with it.

In: what is there, and what either finds. Out: the record that the gate's bounds are worked out of
(core/precision_loss.py), and in which images the candidate finds less or more.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.boxes import Found, Truth
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.paired import EXACT_BELOW
from deployopt.core.precision_loss import PrecisionLoss
from deployopt.device.detecting.matching import Matches, match_boxes
from deployopt.device.detecting.precision import (
    ClassTable,
    changes_spoiled_by_each,
    changes_without_each,
    whole_precision,
)

_SAME: Final = 1e-9
_DIGITS: Final = 10

Finds = npt.NDArray[np.int64]


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """`lost` and `gained` are images in which the candidate finds less, and more, than before."""

    loss: PrecisionLoss
    lost: int
    gained: int


def pair_detections(
    truth: Sequence[Truth], reference: Sequence[Found], candidate: Sequence[Found]
) -> Paired:
    """Match both with what is there.

    Raises:
        UsageError: there is no box in any image.
        MissingExtraError: pycocotools is not installed.
    """
    if not any((~image.crowd).any() for image in truth):
        raise UsageError("The images have no boxes, so nothing can be told of a detector's errors.")
    ours, theirs = (_checked(match_boxes(truth, one)) for one in (candidate, reference))
    images = len(truth)
    without = changes_without_each(theirs.tables) - changes_without_each(ours.tables)
    pulls = -(images - 1) * without
    here, there = finds_of(ours.tables, images), finds_of(theirs.tables, images)
    more, less = (here > there).any(axis=1), (here < there).any(axis=1)
    unlike = int((more | less).sum())
    costs = -changes_spoiled_by_each(ours.tables) if unlike < EXACT_BELOW else np.empty(0)
    balance = here.sum(axis=1) - there.sum(axis=1)
    return Paired(
        loss=PrecisionLoss(
            reference=theirs.precision,
            candidate=ours.precision,
            boxes=int(sum((~image.crowd).sum() for image in truth)),
            unlike=unlike,
            pulls=_numbers(pulls),
            costs=_numbers(costs),
        ),
        lost=int((balance < 0).sum()),
        gained=int((balance > 0).sum()),
    )


def finds_of(tables: Sequence[ClassTable], images: int) -> Finds:
    """How many boxes are found, `[images, classes x thresholds]`."""
    columns = [
        np.bincount(table.images, weights=hits, minlength=images)
        for table in tables
        for hits in table.found
    ]
    return np.asarray(columns, dtype=np.int64).T


def _checked(matches: Matches) -> Matches:
    """Raise where pycocotools' own mAP is another: then an image left out would be told wrongly."""
    again = whole_precision(matches.tables)
    if not abs(again - matches.precision) < _SAME:
        raise DeviceError(
            f"pycocotools says an mAP of {matches.precision:.6f} and deployopt, of the same "
            f"matches, {again:.6f}: this version of pycocotools counts in another way. Install "
            "one that deployopt[detection] allows."
        )
    return matches


def _numbers(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(x), _DIGITS) for x in values)
