"""The images that students of a model may learn from: a folder with one sub-folder a class.

In: the folder, the model's labels and image size. Out: training and validation images, decoded when
they are asked for, each content once. Which of them judge is told by their pixels, and those are
only known when they are decoded: see the caller. Refuses labels that the model does not have, one
class, and texts.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.examples import IMAGE, Example
from deployopt.core.interface import ImageInputs
from deployopt.sources.image_list import Chosen
from deployopt.sources.labels import match_labels
from deployopt.sources.parts import IMAGE_BYTES_MAX
from deployopt.sources.splits import assign_splits
from deployopt.sources.splitting import EXAMPLES_MIN, left_out, without_duplicates
from deployopt.sources.student_data import EXAMPLES_MAX, check_classes, sample, shares_of
from deployopt.sources.training_lots import SALT, TRAIN, VALIDATION, Lot, Reading, read_lot
from deployopt.store.store import Store


class StudentImages(msgspec.Struct, frozen=True, kw_only=True):
    """Images of each split and their classes; `digest` is of the files and their classes."""

    name: str
    train: Sequence[Example]
    classes: tuple[int, ...]
    validation: Sequence[Example]
    validation_classes: tuple[int, ...]
    digest: str
    notes: tuple[str, ...]


def read_student_images(
    data: str, unlabelled: Path | None, reading: Reading, labels: tuple[str, ...], store: Store
) -> StudentImages:
    """Training and validation images for students of a model with these labels.

    Raises:
        UsageError: no such folder, labels that are not the model's, of one class, or too few.
        RefusedInputError: a link that leaves the folder.
    """
    inputs = reading.inputs
    if unlabelled is not None or not isinstance(inputs, ImageInputs):
        raise UsageError(f"{reading.model} takes images, and {unlabelled} holds texts.")
    lot = read_lot(data, reading, store)
    matched = match_labels(lot.values, labels, where=lot.where)
    kept, counts = without_duplicates(lot.contents, matched.classes)
    check_classes([matched.classes[at] for at in kept], labels, lot.where)
    if len(kept) < EXAMPLES_MIN:
        raise UsageError(
            f"{lot.where} holds {len(kept)} different images; at least {EXAMPLES_MIN} are needed "
            "to learn from and to choose by. Give more."
        )
    kept, more = sample(kept, lot.contents, lot.where, room_for(inputs))
    train, validation = _cut(lot, kept)
    return StudentImages(
        name=lot.where,
        train=Chosen(lot.inputs, train),
        classes=tuple(matched.classes[at] for at in train),
        validation=Chosen(lot.inputs, validation),
        validation_classes=tuple(matched.classes[at] for at in validation),
        digest=_digest(lot, matched.classes, (train, validation)),
        notes=(*matched.notes, *left_out(counts, lot.where), *more),
    )


def room_for(inputs: ImageInputs) -> int:
    """So many images at the model's size are a gigabyte of pixels."""
    each = inputs.height * inputs.width * inputs.channels
    return max(EXAMPLES_MIN, min(EXAMPLES_MAX, IMAGE_BYTES_MAX // each))


def pixels_digest(example: Example) -> bytes:
    """Of a decoded image: what tells whether two are the same."""
    if isinstance(example, str):
        return b""
    image = example[IMAGE]
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).digest()


def _cut(lot: Lot, kept: Sequence[int]) -> tuple[list[int], list[int]]:
    keys = [
        key if isinstance(key, bytes) else key.encode() for key in (lot.keys[at] for at in kept)
    ]
    found = assign_splits(keys, shares=shares_of(len(kept)), salt=SALT).indices
    train, validation = (sorted(kept[at] for at in found[s].tolist()) for s in (TRAIN, VALIDATION))
    if not validation:
        return train[1:], train[:1]
    return train, validation


def _digest(lot: Lot, classes: Sequence[int], splits: tuple[list[int], list[int]]) -> str:
    listed = [[[lot.contents[at], classes[at]] for at in rows] for rows in splits]
    return hashlib.sha256(msgspec.json.encode(listed)).hexdigest()
