"""Which detections find a box: pycocotools' matching, as tables a class (precision.py).

In: what is there in every image and what a model found, boxes as shares of the image's sides; the
share of two boxes that overlaps is the same in pixels. Out: one table for each class with a box.
Refuses (MissingExtraError) to go on without pycocotools.
"""

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.boxes import Found, Truth
from deployopt.core.errors import MissingExtraError
from deployopt.device.detecting.precision import ClassTable

DETECTIONS_MAX: Final = 100
"""Of a class in an image, the best; COCO's number."""
_EVERYWHERE: Final = [[0.0, 1e10]]
_CORNERS: Final = 4

Floats = npt.NDArray[np.float64]


class Matches(msgspec.Struct, frozen=True, kw_only=True):
    """A table for each class that has a box, in the order of the classes, and the mAP."""

    tables: tuple[ClassTable, ...]
    precision: float
    """As pycocotools says it."""


def need_matching() -> None:
    """Raise MissingExtraError where pycocotools is not installed."""
    if importlib.util.find_spec("pycocotools") is None:
        raise MissingExtraError("Judging a detector's boxes", "detection")


def match_boxes(truth: Sequence[Truth], found: Sequence[Found]) -> Matches:
    """Every image's detections with its boxes, the best score first, at ten IoU thresholds.

    Raises:
        MissingExtraError: pycocotools is not installed.
    """
    need_matching()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        there = COCO()
        classes = sorted({int(one) for image in truth for one in image.classes[~image.crowd]})
        there.dataset = _dataset(truth, classes)
        there.createIndex()
        answer = COCO()
        answer.dataset = _answers(found, classes, len(truth))
        answer.createIndex()
        judged = COCOeval(there, answer, "bbox")
        judged.params.areaRng, judged.params.areaRngLbl = _EVERYWHERE, ["all"]
        judged.params.maxDets = [DETECTIONS_MAX]
        judged.evaluate()
        judged.accumulate()
    tables = tuple(
        _table(judged.evalImgs[at * len(truth) : (at + 1) * len(truth)])
        for at in range(len(classes))
    )
    values = judged.eval["precision"]
    counted = values[values > -1]
    return Matches(tables=tables, precision=float(np.mean(counted)) if counted.size else np.nan)


def _dataset(truth: Sequence[Truth], classes: Sequence[int]) -> dict[str, Any]:
    boxes = [
        _box(image, int(label), corners) | {"iscrowd": int(crowd)}
        for image, one in enumerate(truth)
        for corners, label, crowd in zip(one.boxes, one.classes, one.crowd, strict=True)
    ]
    return _whole(boxes, classes, len(truth))


def _answers(found: Sequence[Found], classes: Sequence[int], images: int) -> dict[str, Any]:
    boxes = [
        _box(image, int(label), corners) | {"score": float(score), "iscrowd": 0}
        for image, one in enumerate(found)
        for corners, label, score in zip(one.boxes, one.classes, one.scores, strict=True)
    ]
    return _whole(boxes, classes, images)


def _whole(boxes: Sequence[dict[str, Any]], classes: Sequence[int], images: int) -> dict[str, Any]:
    # Number 0 stands for "no match" there.
    return {
        "images": [{"id": number} for number in range(images)],
        "categories": [{"id": number} for number in classes],
        "annotations": [one | {"id": number} for number, one in enumerate(boxes, start=1)],
    }


def _box(image: int, label: int, corners: Floats) -> dict[str, Any]:
    left, top, right, bottom = (float(x) for x in corners)
    width, height = right - left, bottom - top
    return {
        "image_id": image,
        "category_id": label,
        "bbox": [left, top, width, height],
        "area": width * height,
    }


def _table(images: Sequence[dict[str, Any] | None]) -> ClassTable:
    """One class of all images, as pycocotools accumulates it."""
    boxes = np.zeros(len(images))
    owners, scores = [], []
    hits, counts = [], []
    for at, one in enumerate(images):
        if one is None:
            continue
        boxes[at] = np.count_nonzero(np.asarray(one["gtIgnore"]) == 0)
        counted = ~np.asarray(one["dtIgnore"], dtype=np.bool_)
        owners.append(np.full(counted.shape[1], at, dtype=np.intp))
        scores.append(np.asarray(one["dtScores"], dtype=np.float64))
        hits.append((np.asarray(one["dtMatches"]) > 0) & counted)
        counts.append(counted)
    ranked = np.argsort(-np.concatenate(scores), kind="stable")
    return ClassTable(
        images=np.concatenate(owners)[ranked],
        found=np.concatenate(hits, axis=1)[:, ranked],
        counts=np.concatenate(counts, axis=1)[:, ranked],
        boxes=boxes,
    )
