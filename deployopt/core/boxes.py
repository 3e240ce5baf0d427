"""Boxes in an image: what is there and what a model finds, and an image with its boxes as stored.

In an example (core/examples.py) the entries beside `image` are `boxes`, float64 `[n, 4]` left, top,
right and bottom as shares of the image's sides, `classes`, int64 `[n]`, and `crowd`, bool `[n]`.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.errors import RefusedInputError
from deployopt.core.examples import IMAGE, Example
from deployopt.core.samples import Array, Feed

_BOXES: Final = "boxes"
_CLASSES: Final = "classes"
_CROWD: Final = "crowd"

Floats = npt.NDArray[np.float64]


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """The boxes of one image, `[n, 4]` left, top, right, bottom; a crowd is not counted."""

    boxes: Floats
    classes: npt.NDArray[np.int64]
    crowd: npt.NDArray[np.bool_]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a model finds in one image, boxes as above, best score first."""

    boxes: Floats
    classes: npt.NDArray[np.int64]
    scores: Floats


def annotated_example(image: Array, truth: Truth) -> Feed:
    """One example of a split."""
    return {IMAGE: image, _BOXES: truth.boxes, _CLASSES: truth.classes, _CROWD: truth.crowd}


def truth_of(examples: Sequence[Example], where: str) -> tuple[Truth, ...]:
    """What there is to find in each; the images are not looked at.

    Raises:
        RefusedInputError: an example has no boxes, or arrays that do not fit together.
    """
    return tuple(_truth(example, where) for example in examples)


def _truth(example: Example, where: str) -> Truth:
    if isinstance(example, str) or not {_BOXES, _CLASSES, _CROWD} <= set(example):
        raise RefusedInputError(f"{where} holds an image without boxes. Build the bundle again.")
    boxes, classes, crowd = (np.asarray(example[name]) for name in (_BOXES, _CLASSES, _CROWD))
    count = len(classes) if classes.ndim == 1 else -1
    fits = boxes.shape == (count, 4) and crowd.shape == (count,)
    if not fits or boxes.dtype != np.float64 or not bool(np.isfinite(boxes).all()):
        raise RefusedInputError(f"{where} holds boxes and classes that do not fit together.")
    return Truth(boxes=boxes, classes=classes.astype(np.int64), crowd=crowd.astype(np.bool_))
