"""What a student learns from, as files in the store: examples as model inputs, by split.

In: a teacher, labelled data or texts without labels or both. Out: a lesson for the step Distil,
samples for Prune, and the held-out split, which neither sees.
"""

import hashlib
from typing import Final

import msgspec

from deployopt.catalogue.models import DEMO
from deployopt.core.distill_request import DistillRequest
from deployopt.core.errors import UsageError
from deployopt.core.interface import TextInputs
from deployopt.core.samples import Feed
from deployopt.core.source import SourceModel
from deployopt.core.text import name_list
from deployopt.pipeline.lesson_files import Learned, StoredLesson, model_inputs, store_lesson
from deployopt.sources.student_data import NO_LABEL
from deployopt.sources.training_base import TrainingBase
from deployopt.sources.training_data import read_training_data
from deployopt.sources.training_lots import HELD_OUT, TRAIN, VALIDATION
from deployopt.sources.unlabelled import read_unlabelled, split_unlabelled, unlike
from deployopt.store.store import Store

UNLABELLED: Final = "unlabelled"


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """Texts and classes by split; -1 where a text has no label."""

    name: str
    texts: dict[str, tuple[str, ...]]
    classes: dict[str, tuple[int, ...]]
    sizes: dict[str, int]
    """For a person: unlabelled texts of the training split are counted apart."""
    notes: tuple[str, ...]

    @property
    def labelled(self) -> bool:
        """Whether the held-out split can tell right from wrong."""
        return NO_LABEL not in self.classes[HELD_OUT]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in the form that steps and judges take."""

    texts: Texts
    stored: StoredLesson
    held_out: tuple[Feed, ...]
    length: int
    """The median of the held-out texts' tokens."""


def gather_texts(request: DistillRequest, teacher: SourceModel, store: Store) -> Texts:
    """The texts, split; those without labels only ever teach, unless there are no others.

    Raises:
        UsageError: no data, malformed, or labels that are not the teacher's.
    """
    extra = None if request.unlabelled is None else read_unlabelled(request.unlabelled)
    # What other teachers bring lies on the hub, which is not read for training yet.
    name = request.data or (DEMO if teacher.default_data == DEMO else None)
    if name is None and extra is None:
        raise UsageError(
            f"{teacher.name} brings no texts to learn from. Give --data, a CSV, JSONL or Parquet "
            "file of texts and labels, or --unlabelled, a file with one text a line."
        )
    if extra is not None and request.data is None and request.unlabelled is not None:
        where = request.unlabelled.name
        texts = split_unlabelled(extra, where)
        classes = {split: (NO_LABEL,) * len(found) for split, found in texts.items()}
        sizes = {split: len(found) for split, found in texts.items()}
        return Texts(name=where, texts=texts, classes=classes, sizes=sizes, notes=extra.notes)
    data = read_training_data(
        str(name), request.evaluation, base=_base(teacher), store=store, columns=request.columns
    )
    if data.new_head:
        raise UsageError(
            f"{name} has the labels {name_list(data.labels)} and the teacher {teacher.name} "
            f"answers {name_list(teacher.interface.labels)}. Give data of the teacher's labels, or "
            "texts without any as --unlabelled."
        )
    texts = {split: tuple(map(str, part.inputs)) for split, part in data.parts.items()}
    classes = {split: part.classes for split, part in data.parts.items()}
    sizes = {split: len(found) for split, found in texts.items()}
    notes = data.notes
    if extra is not None and request.unlabelled is not None:
        extra = unlike(extra, texts[VALIDATION] + texts[HELD_OUT], request.unlabelled.name)
        known = set(texts[TRAIN])
        more = tuple(text for text in extra.texts if text not in known)
        texts[TRAIN] += more
        classes[TRAIN] += (NO_LABEL,) * len(more)
        sizes[UNLABELLED] = len(more)
        notes += extra.notes
    return Texts(name=str(name), texts=texts, classes=classes, sizes=sizes, notes=notes)


def prepare_lesson(texts: Texts, teacher: SourceModel, store: Store) -> Prepared:
    """Texts as token numbers, kept in the store under their content."""
    train, validation = (
        Learned(inputs=texts.texts[split], classes=texts.classes[split])
        for split in (TRAIN, VALIDATION)
    )
    stored = store_lesson(teacher, train, validation, _digest(texts), store)
    held_out = tuple(model_inputs(teacher, texts.texts[HELD_OUT]))
    lengths = sorted(feed["input_ids"].shape[1] for feed in held_out)
    return Prepared(
        texts=texts,
        stored=stored,
        held_out=held_out,
        length=lengths[len(lengths) // 2],
    )


def _base(teacher: SourceModel) -> TrainingBase:
    inputs = teacher.interface.inputs
    if not isinstance(inputs, TextInputs):
        raise UsageError(f"{teacher.name} takes no texts.")
    return TrainingBase(
        name=teacher.name,
        resolved=teacher.origin.resolved,
        folder=teacher.artifact.folder,
        digest=teacher.artifact.digest,
        task=teacher.interface.task,
        inputs=inputs,
        labels=teacher.interface.labels,
    )


def _digest(texts: Texts) -> str:
    content = msgspec.json.encode([texts.texts, texts.classes], order="sorted")
    return hashlib.sha256(content).hexdigest()
