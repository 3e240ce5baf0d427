"""What the students of a build learn from: training data, kept from the examples that judge.

In: a build request, its model and its evaluation data. Out: a lesson for Distil, as files in the
store, or None where there is nothing to learn from: no training data was given, and only
`demo-sentiment` brings some.
"""

import hashlib

import msgspec

from deployopt.catalogue.models import DEMO
from deployopt.core.artifact import Format
from deployopt.core.errors import UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.interface import ImageInputs, Task, TextInputs
from deployopt.core.recipe import Lesson
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.source import Dataset, SourceModel
from deployopt.pipeline.image_lessons import store_image_lesson
from deployopt.pipeline.lesson_files import Learned, StoredLesson, store_lesson
from deployopt.sources.image_data import model_resample
from deployopt.sources.student_data import NO_LABEL, StudentTexts, Wanted, read_student_texts
from deployopt.sources.student_images import read_student_images
from deployopt.sources.training_lots import Reading
from deployopt.store.store import Store


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """A lesson with what it is made of."""

    lesson: Lesson
    name: str
    examples: int
    """Of the training set, with and without labels."""
    unlabelled: int
    """Of these, without a label."""
    labelled: bool
    """Whether any has one."""
    notes: tuple[str, ...]


def gather_material(
    request: BuildRequest, source: SourceModel, dataset: Dataset, store: Store
) -> Material | None:
    """What there is to learn from, or None.

    Raises:
        UsageError: a model that cannot be trained, or training data of another kind, with labels
            that are not the model's, of one class, or too little beside what judges.
        SourceError: it could not be fetched.
        RefusedInputError: it could break a reader.
        MissingExtraError: a package to read it is not installed.
    """
    wanted = _wanted(request, source)
    if wanted is None:
        return None
    _require_trainable(source)
    if isinstance(source.interface.inputs, ImageInputs):
        return _of_images(wanted, source, dataset, store)
    return _of_texts(wanted, request, source, dataset, store)


def _wanted(request: BuildRequest, source: SourceModel) -> Wanted | None:
    """The data by name; what a hub model brings is fetched for training only where it is named."""
    own = DEMO if source.default_data == DEMO else None
    name = request.train_data or own
    if name is None and request.unlabelled is None:
        return None
    # They double the time of an epoch, which a search of minutes does not have.
    wide = request.effort is Effort.EXTENSIVE
    return Wanted(data=name, unlabelled=request.unlabelled, wide=wide)


def _require_trainable(source: SourceModel) -> None:
    if source.interface.detects:
        raise UsageError(
            f"{source.name} is a detector, and smaller shapes are taught to classifiers only. "
            "Leave --train-data and --unlabelled out."
        )
    if source.interface.task in {Task.ZERO_SHOT, Task.IMAGE_TEXT}:
        raise UsageError(
            f"{source.name} is an image-text model, and smaller shapes are taught to classifiers "
            "with a head only. Leave --train-data and --unlabelled out."
        )
    if source.interface.draws:
        raise UsageError(
            f"{source.name} draws, and smaller shapes are taught to classifiers only. Leave "
            "--train-data and --unlabelled out."
        )
    if source.artifact.format is not Format.TRANSFORMERS:
        raise UsageError(
            f"{source.name} is a graph, and students are cut from models in Hugging Face form. "
            "Give the folder that it was exported from as --model, or leave --train-data out."
        )


def _of_texts(
    wanted: Wanted, request: BuildRequest, source: SourceModel, dataset: Dataset, store: Store
) -> Material:
    inputs = source.interface.inputs
    if not isinstance(inputs, TextInputs):
        raise UsageError(f"{source.name} takes no texts.")
    judges = [
        example
        for split in dataset.splits.values()
        for example in decode_examples(split.path).inputs
        if isinstance(example, str)
    ]
    reading = Reading(model=source.name, inputs=inputs, columns=request.columns)
    found = read_student_texts(wanted, reading, source.interface.labels, judges, store)
    train = Learned(inputs=found.train, classes=found.classes)
    validation = Learned(inputs=found.validation, classes=found.validation_classes)
    stored = store_lesson(source, train, validation, _digest(found), store)
    return _material(found, stored)


def _of_images(wanted: Wanted, source: SourceModel, dataset: Dataset, store: Store) -> Material:
    inputs = source.interface.inputs
    if wanted.data is None or not isinstance(inputs, ImageInputs):
        raise UsageError(
            f"{source.name} takes images, and --unlabelled gives texts. Give a folder with one "
            "sub-folder of images a class as --train-data."
        )
    reading = Reading(model=source.name, inputs=inputs, resample=model_resample(source))
    labels = source.interface.labels
    found = read_student_images(wanted.data, wanted.unlabelled, reading, labels, store)
    stored, counts = store_image_lesson(source, found, dataset, store)
    note = (
        f"{counts.dropped} of the images to learn from are the same as others, or as ones that "
        "calibrate, search or judge, and were left out."
    )
    return Material(
        lesson=stored.lesson,
        name=found.name,
        examples=counts.train,
        unlabelled=0,
        labelled=True,
        notes=(*found.notes, note) if counts.dropped else found.notes,
    )


def _material(found: StudentTexts, stored: StoredLesson) -> Material:
    return Material(
        lesson=stored.lesson,
        name=found.name,
        examples=len(found.train),
        unlabelled=found.unlabelled,
        labelled=any(number != NO_LABEL for number in found.classes),
        notes=found.notes,
    )


def _digest(found: StudentTexts) -> str:
    parts = [found.train, found.classes, found.validation, found.validation_classes]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
