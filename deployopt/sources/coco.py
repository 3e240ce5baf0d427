"""COCO's annotations: images, categories and boxes from one JSON file, read as data.

In: the file, and the model's labels. Out: every image with its boxes as shares of its sides. A
stranger wrote the file: it is refused where it is too large, names an image outside its folder, or
contradicts itself (a number twice, a box of no image or no category, a box outside its image).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

import msgspec
import numpy as np

from deployopt.core.boxes import Truth
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.text import safe_text
from deployopt.sources.images import SUFFIXES
from deployopt.sources.labels import match_labels

FILE_MAX_BYTES: Final = 512 * 2**20
IMAGES_MAX: Final = 200_000
BOXES_MAX: Final = 2_000_000
BOXES_OF_IMAGE_MAX: Final = 1_000
_SIDE_MAX: Final = 100_000
_OUTSIDE_MAX: Final = 1.0
"""Pixels that a box may reach over the edge: annotators' tools round."""
_SHOWN: Final = 80
_BOX: Final = 4


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    file_name: str
    width: int
    height: int


class _Category(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str


class _Annotation(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the file; licences, outlines and the like are skipped."""

    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


class AnnotatedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image by its path in the images' folder, its size in pixels, and what is to be found."""

    name: str
    width: int
    height: int
    truth: Truth


class Annotated(msgspec.Struct, frozen=True, kw_only=True):
    """All images in the order of their numbers, and what a person should know of them."""

    images: tuple[AnnotatedImage, ...]
    notes: tuple[str, ...] = ()


def read_coco(path: Path, labels: Sequence[str]) -> Annotated:
    """What the file says.

    Raises:
        UsageError: it is not in COCO's form, contradicts itself, or has other categories.
        RefusedInputError: it is too large, or names files outside its folder.
    """
    file = _read(path)
    images = _numbered(file.images, "image", path)
    categories = _categories(_numbered(file.categories, "category", path), file, labels, path)
    _numbered(file.annotations, "annotation", path)
    _check_images(file.images, path)
    boxes: dict[int, list[_Annotation]] = {number: [] for number in images}
    empty = 0
    for one in file.annotations:
        if one.image_id not in boxes:
            raise UsageError(f"{path}: annotation {one.id} is of image {one.image_id}, {_NONE}")
        if min(one.bbox[2:]) == 0:
            empty += 1
            continue
        _check_box(one, images[one.image_id], path)
        boxes[one.image_id].append(one)
    _check_counts(boxes, path)
    notes = (f"{path.name}: {empty} boxes without width or height were left out.",) if empty else ()
    return Annotated(
        images=tuple(
            AnnotatedImage(
                name=image.file_name,
                width=image.width,
                height=image.height,
                truth=_truth(boxes[number], image, categories),
            )
            for number, image in sorted(images.items())
        ),
        notes=notes,
    )


_NONE: Final = "and there is none of that number. Correct the file, or leave the annotation out."


def _read(path: Path) -> _File:
    if path.stat().st_size > FILE_MAX_BYTES:
        raise RefusedInputError(
            f"{path} has more than {FILE_MAX_BYTES // 2**20} MiB and was not read. Give a smaller "
            "split, as the validation one."
        )
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except RecursionError as error:
        raise RefusedInputError(f"{path} is nested too deeply.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is not in COCO's form: {safe_text(str(error), 200)}. It needs images (id, "
            "file_name, width, height), categories (id, name) and annotations (id, image_id, "
            "category_id, bbox)."
        ) from error
    if len(file.images) > IMAGES_MAX or len(file.annotations) > BOXES_MAX:
        raise RefusedInputError(
            f"{path} lists {len(file.images)} images and {len(file.annotations)} boxes; at most "
            f"{IMAGES_MAX} and {BOXES_MAX} are read. Give a smaller split."
        )
    return file


_N = TypeVar("_N", _Image, _Category, _Annotation)


def _numbered(items: Sequence[_N], what: str, path: Path) -> dict[int, _N]:
    found: dict[int, _N] = {}
    for item in items:
        if item.id in found:
            raise UsageError(
                f"{path}: two of its {what} entries have the id {item.id}, so it does not say "
                "which is meant. Give each its own."
            )
        found[item.id] = item
    return found


def _categories(
    known: Mapping[int, _Category], file: _File, labels: Sequence[str], path: Path
) -> dict[int, int]:
    """The model's class of every category that has a box."""
    used = sorted({one.category_id for one in file.annotations})
    missing = [number for number in used if number not in known]
    if missing:
        raise UsageError(
            f"{path}: a box is of category {missing[0]}, and there is none of that number. The "
            f"categories are {', '.join(str(number) for number in sorted(known)[:8])}."
        )
    names = [known[number].name for number in used]
    if len(set(names)) < len(names):
        raise UsageError(f"{path}: two categories have the same name. Give each its own.")
    matched = match_labels(names, labels, where=str(path), names=names)
    return dict(zip(used, matched.classes, strict=True))


def _check_images(images: Sequence[_Image], path: Path) -> None:
    names: set[str] = set()
    for image in images:
        shown = safe_text(image.file_name, _SHOWN)
        plain = PurePosixPath(image.file_name)
        if plain.is_absolute() or ".." in plain.parts or "\0" in image.file_name:
            raise RefusedInputError(
                f"{path}: image {image.id} is the file {shown!r}, outside the images' folder. Give "
                "names inside it."
            )
        if plain.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{path}: {shown!r} does not end in {', '.join(SUFFIXES)}.")
        if not (1 <= image.width <= _SIDE_MAX and 1 <= image.height <= _SIDE_MAX):
            raise UsageError(
                f"{path}: image {image.id} is said to have {image.width} x {image.height} pixels."
            )
        if image.file_name in names:
            raise UsageError(f"{path}: {shown!r} stands there twice, with two ids. Keep one.")
        names.add(image.file_name)


def _check_box(box: _Annotation, image: _Image, path: Path) -> None:
    left, top, width, height = box.bbox
    finite = all(math.isfinite(x) for x in box.bbox) and width > 0 and height > 0
    over = max(-left, -top, left + width - image.width, top + height - image.height)
    if box.iscrowd not in (0, 1):
        raise UsageError(f"{path}: annotation {box.id} has iscrowd {box.iscrowd}, not 0 or 1.")
    if not finite or over > _OUTSIDE_MAX:
        raise UsageError(
            f"{path}: annotation {box.id} has the box {list(box.bbox)}, which is not inside image "
            f"{image.id} of {image.width} x {image.height} pixels. A box is left, top, width and "
            "height in pixels; correct it, or leave the annotation out."
        )


def _check_counts(boxes: Mapping[int, Sequence[_Annotation]], path: Path) -> None:
    fullest = max(boxes, key=lambda number: len(boxes[number]), default=None)
    if fullest is None or not any(boxes.values()):
        raise UsageError(f"{path} has no images with boxes, so nothing could be judged with it.")
    if len(boxes[fullest]) > BOXES_OF_IMAGE_MAX:
        raise RefusedInputError(
            f"{path}: image {fullest} has {len(boxes[fullest])} boxes; at most "
            f"{BOXES_OF_IMAGE_MAX} are read."
        )


def _truth(boxes: Sequence[_Annotation], image: _Image, classes: Mapping[int, int]) -> Truth:
    corners = np.asarray([box.bbox for box in boxes], dtype=np.float64).reshape(-1, _BOX)
    corners[:, 2:] += corners[:, :2]
    corners /= np.asarray([image.width, image.height] * 2, dtype=np.float64)
    return Truth(
        boxes=np.clip(corners, 0.0, 1.0),
        classes=np.asarray([classes[box.category_id] for box in boxes], dtype=np.int64),
        crowd=np.asarray([bool(box.iscrowd) for box in boxes], dtype=np.bool_),
    )
