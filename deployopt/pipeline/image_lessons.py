"""A lesson of images as files in the store, written one image at a time.

In: training and validation images, and the evaluation data. Out: files of uint8 pixels at the
model's size, normalized by whoever reads them, so that neither writing nor learning holds more than
a batch; and some training inputs for Prune. Images whose pixels are those of one that calibrates,
searches or judges are left out and counted. Refuses too little that is left.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.examples import IMAGE, Example, open_examples, write_feeds
from deployopt.core.interface import ImageInputs
from deployopt.core.recipe import Lesson
from deployopt.core.samples import Feed, encode_samples
from deployopt.core.source import Dataset, SourceModel
from deployopt.device.images import image_pixels
from deployopt.pipeline.lesson_files import (
    SAMPLES,
    SAMPLES_FILE,
    TRAIN_FILE,
    VALIDATION_FILE,
    StoredLesson,
    model_inputs,
)
from deployopt.sources.splitting import EXAMPLES_MIN
from deployopt.sources.student_data import check_classes
from deployopt.sources.student_images import StudentImages, pixels_digest
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import new_file, write_new_file

_VERSION: Final = 1
_SAMPLE_BYTES_MAX: Final = 64 * 2**20
_FLOAT_BYTES: Final = 4


class Counts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was written and what was left out."""

    train: int
    validation: int
    dropped: int


def store_image_lesson(
    teacher: SourceModel, found: StudentImages, dataset: Dataset, store: Store
) -> tuple[StoredLesson, Counts]:
    """The lesson and what it holds.

    Raises:
        UsageError: a file is no image, or too few are unlike those that judge.
        RefusedInputError: an image that is too large to be opened.
    """
    inputs = teacher.interface.inputs
    if not isinstance(inputs, ImageInputs):
        raise UsageError(f"{teacher.name} takes no images.")
    key = cache_key(
        {
            "image lesson": _VERSION,
            "images": found.digest,
            "judges": sorted(split.digest for split in dataset.splits.values()),
            "teacher": teacher.artifact.digest,
            "interface": msgspec.to_builtins(teacher.interface),
        }
    )
    stored = store.lookup(key)
    if stored is None:
        each = inputs.height * inputs.width * inputs.channels
        store.require_space(each * (len(found.train) + len(found.validation)), "The lesson")
        stored = _Writing(teacher, inputs, dataset).write(found, store, key)
    lesson = Lesson(
        teacher=teacher.artifact.folder,
        train=stored.folder / TRAIN_FILE,
        validation=stored.folder / VALIDATION_FILE,
        digest=key,
    )
    samples = stored.folder / SAMPLES_FILE
    counts = msgspec.json.decode(stored.meta, type=Counts)
    return StoredLesson(lesson=lesson, samples=samples, samples_digest=stored.digest), counts


class _Writing:
    """One lesson while it is written: which images were seen, what was kept of each split."""

    def __init__(self, teacher: SourceModel, inputs: ImageInputs, dataset: Dataset) -> None:
        self._teacher, self._inputs = teacher, inputs
        self._seen = {
            pixels_digest(example)
            for split in dataset.splits.values()
            for example in open_examples(split.path).inputs
        }
        self._samples: list[Feed] = []
        each = inputs.height * inputs.width * inputs.channels * _FLOAT_BYTES
        self._wanted = max(1, min(SAMPLES, _SAMPLE_BYTES_MAX // each))

    def write(self, found: StudentImages, store: Store, key: str) -> StoredObject:
        """Both splits; what chooses is not learned from."""
        with store.stage() as folder:
            validation = self._split(
                folder / VALIDATION_FILE, found.validation, found.validation_classes, 0
            )
            stride = max(1, len(found.train) // self._wanted)
            train = self._split(folder / TRAIN_FILE, found.train, found.classes, stride)
            given = len(found.train) + len(found.validation)
            counts = Counts(
                train=len(train),
                validation=len(validation),
                dropped=given - len(train) - len(validation),
            )
            self._check(found.name, counts, train)
            write_new_file(folder / SAMPLES_FILE, encode_samples(self._samples))
            return store.commit(folder, key, meta=msgspec.json.encode(counts))

    def _split(
        self, path: Path, images: Sequence[Example], classes: Sequence[int], stride: int
    ) -> list[int]:
        kept: list[int] = []

        def feeds() -> Iterator[Feed]:
            for at, label in enumerate(classes):
                example = images[at]
                digest = pixels_digest(example)
                if digest not in self._seen:
                    self._seen.add(digest)
                    if stride and len(kept) % stride == 0 and len(self._samples) < self._wanted:
                        self._samples += model_inputs(self._teacher, [example])
                    kept.append(label)
                    yield self._pixels(example)

        with new_file(path) as stream:
            write_feeds(stream, feeds(), lambda: kept)
        return kept

    def _pixels(self, example: Example) -> Feed:
        if isinstance(example, str):
            raise UsageError(f"{self._teacher.name} takes images.")
        return {self._inputs.input_name: image_pixels(example[IMAGE], self._inputs)[None]}

    def _check(self, name: str, counts: Counts, train: Sequence[int]) -> None:
        left = counts.train + counts.validation
        if left < EXAMPLES_MIN or not counts.train or not counts.validation:
            raise UsageError(
                f"{name} leaves {left} images to learn from, at least {EXAMPLES_MIN} are needed: "
                f"{counts.dropped} are the same as ones that the result is judged with. Give "
                "others as the training data."
            )
        check_classes(train, self._teacher.interface.labels, name)
