"""A lesson as files in the store: examples as model inputs, and some of them for Prune.

In: training and validation examples with classes, -1 where there is no label, and the teacher. Out:
the lesson, under a key of its content, and a few hundred training inputs to weigh parts with.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.examples import Example, Examples, encode_examples
from deployopt.core.recipe import Lesson
from deployopt.core.samples import Feed, encode_samples
from deployopt.core.source import SourceModel
from deployopt.core.workload import Workload
from deployopt.device.inputs import feeds
from deployopt.store.keys import cache_key
from deployopt.store.store import Store
from deployopt.store.writing import write_new_file

SAMPLES: Final = 256
_VERSION: Final = 1
TRAIN_FILE: Final = "train.npz"
VALIDATION_FILE: Final = "validation.npz"
SAMPLES_FILE: Final = "samples.npz"


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """Examples, and a class for each."""

    inputs: Sequence[Example]
    classes: tuple[int, ...]


class StoredLesson(msgspec.Struct, frozen=True, kw_only=True):
    """The lesson, and the samples that Prune weighs parts with."""

    lesson: Lesson
    samples: Path
    samples_digest: str


def store_lesson(
    teacher: SourceModel, train: Learned, validation: Learned, digest: str, store: Store
) -> StoredLesson:
    """The files of the lesson; `digest` is of both sets, in whatever form tells them apart."""
    key = cache_key(
        {
            "lesson": _VERSION,
            "texts": digest,
            "teacher": teacher.artifact.digest,
            "interface": msgspec.to_builtins(teacher.interface),
        }
    )
    stored = store.lookup(key)
    if stored is None:
        learned = list(model_inputs(teacher, train.inputs))
        chosen = list(model_inputs(teacher, validation.inputs))
        files = {
            TRAIN_FILE: _encoded(learned, train.classes),
            VALIDATION_FILE: _encoded(chosen, validation.classes),
            SAMPLES_FILE: encode_samples(learned[:: max(1, len(learned) // SAMPLES)][:SAMPLES]),
        }
        with store.stage() as folder:
            for name, content in files.items():
                write_new_file(folder / name, content)
            stored = store.commit(folder, key)
    return StoredLesson(
        lesson=Lesson(
            teacher=teacher.artifact.folder,
            train=stored.folder / TRAIN_FILE,
            validation=stored.folder / VALIDATION_FILE,
            # The teacher's digest is in the key that the examples stand under.
            digest=key,
        ),
        samples=stored.folder / SAMPLES_FILE,
        samples_digest=stored.digest,
    )


def model_inputs(teacher: SourceModel, inputs: Sequence[Example]) -> list[Feed]:
    """The examples one by one as the model takes them, at their real lengths."""
    return list(feeds(teacher.interface, teacher.artifact.folder, inputs, Workload()))


def _encoded(inputs: Sequence[Feed], classes: tuple[int, ...]) -> bytes:
    return encode_examples(Examples(inputs=inputs, labels=classes))[1]
