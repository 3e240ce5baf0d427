"""A student's folder in, the taught student's folder out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

from deployopt.core.distill_result import Lessons
from deployopt.core.errors import StepError
from deployopt.core.examples import decode_examples, open_examples
from deployopt.core.interface import Interface
from deployopt.core.recipe import Lesson
from deployopt.core.samples import Feed
from deployopt.modeling.distilling.loop import Material, distil
from deployopt.modeling.distilling.options import DistilOptions
from deployopt.modeling.loading import load_model
from deployopt.modeling.saving import save_folder

_HELD_BYTES: Final = 2**28


def distil_folder(
    folder: Path,
    interface: Interface,
    destination: Path,
    lesson: Lesson,
    options: DistilOptions,
    progress: Callable[[float, str], None],
) -> Lessons:
    """Write the taught student and its tokenizer into `destination`, an empty folder.

    Raises:
        RefusedInputError: a folder may not be opened.
        TrainingError: the loss was no finite number, or the time was too short.
        StepError: a family that is not known, or nothing to learn from.
    """
    train, labels = _examples(lesson.train)
    validation, _ = _examples(lesson.validation)
    teacher = load_model(lesson.teacher, interface.task)
    student = load_model(folder, interface.task)
    material = Material(
        interface=interface,
        train=train,
        labels=labels,
        validation=validation,
        digest=lesson.digest,
    )
    lessons = distil(student, teacher, material, options, progress)
    save_folder(student, folder, destination)
    return lessons


def _examples(path: Path) -> tuple[Sequence[Feed], tuple[int, ...]]:
    """In memory, or where there is much of it read when asked for."""
    read = decode_examples if path.stat().st_size <= _HELD_BYTES else open_examples
    found = read(path)
    if found.is_text or not len(found):
        raise StepError(f"{path} holds no examples as model inputs.")
    feeds = cast("Sequence[Feed]", found.inputs)
    return feeds, found.labels or (-1,) * len(feeds)
