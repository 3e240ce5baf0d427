"""A detector's outputs become boxes, in numpy alone.

In: scores and boxes of a batch, and the form that the model's family has (core/interface.py). Out:
for each image boxes as shares of its sides, best score first. The same arithmetic as transformers'
`post_process_object_detection`. Refuses outputs of another shape.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from deployopt.core.boxes import Found
from deployopt.core.errors import IntegrityError
from deployopt.core.interface import BoxForm
from deployopt.core.samples import Feed

_RANK: Final = 3
_CORNERS: Final = 4

Floats = npt.NDArray[np.float64]


def decode_boxes(
    form: BoxForm, names: Sequence[str], outputs: Sequence[Feed], labels: int
) -> tuple[Found, ...]:
    """What was found in every image of every request, in order.

    A number that is not finite has no box; who judges counts the examples with one.

    Raises:
        IntegrityError: the outputs have another shape, or another number of classes.
    """
    found: list[Found] = []
    for output in outputs:
        scores = np.asarray(output[names[0]], dtype=np.float64)
        boxes = np.asarray(output[names[1]], dtype=np.float64)
        _check(form, scores, boxes, labels)
        found += [_decoded(form, one, other) for one, other in zip(scores, boxes, strict=True)]
    return tuple(found)


def _check(form: BoxForm, scores: Floats, boxes: Floats, labels: int) -> None:
    classes = labels + (form.scores == "softmax")
    ranks = scores.ndim == boxes.ndim == _RANK
    if not ranks or scores.shape[2] != classes or boxes.shape != (*scores.shape[:2], _CORNERS):
        raise IntegrityError(
            f"The model's outputs have the shapes {list(scores.shape)} and {list(boxes.shape)}; a "
            f"detector of {labels} labels gives [batch, places, {classes}] and [batch, places, 4]."
        )


def _decoded(form: BoxForm, scores: Floats, boxes: Floats) -> Found:
    shares = _softmax(scores)[:, :-1] if form.scores == "softmax" else _sigmoid(scores)
    if form.scores == "softmax":
        places = np.arange(len(shares))
        classes = shares.argmax(axis=1)
    else:
        places, classes = np.divmod(np.arange(shares.size), shares.shape[1])
    best = shares[places, classes]
    whole = np.asarray(np.isfinite(boxes).all(axis=1))
    usable = np.isfinite(best) & whole[places]
    order = np.argsort(-np.where(usable, best, -1.0), kind="stable")[: form.most]
    order = order[usable[order]]
    return Found(
        boxes=_corners(boxes[places[order]]),
        classes=classes[order].astype(np.int64),
        scores=best[order],
    )


def _corners(boxes: Floats) -> Floats:
    """Centre, width and height to left, top, right and bottom."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _softmax(scores: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)


def _sigmoid(scores: Floats) -> Floats:
    # Without overflow on either side.
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * scores)), dtype=np.float64)
