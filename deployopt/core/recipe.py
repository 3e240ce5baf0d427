"""Steps and recipes: how an artifact is made from another."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.interface import Interface


def _silent(done: float, what: str) -> None:
    """No one is watching."""


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What a student learns from: the teacher's folder, and two files of examples as model inputs.

    The files are as core/examples.py writes feeds; a label of -1 says that there is none. `digest`
    is of all three.
    """

    teacher: Path
    train: Path
    validation: Path
    digest: str


class StepContext(msgspec.Struct, frozen=True, kw_only=True):
    """Where a step works and what it may read.

    `workdir` is an empty staging folder of the store: the files that `run` leaves there are the
    artifact. `samples` is an npz file of real inputs (core/samples.py), for checking an export and
    for calibration. `progress` takes a share done (0 to 1) and a few words.
    """

    workdir: Path
    interface: Interface
    samples: Path | None = None
    samples_digest: str = ""
    lesson: Lesson | None = None
    seed: int = 0
    threads: int = 1
    progress: Callable[[float, str], None] = _silent


class Step(Protocol):
    """A frozen record whose fields are its options; everything the target decides is a field.

    `version` goes up when the same options give other bytes; `tools` are the packages whose
    versions decide the result; `uses_samples` and `uses_lesson` say that their digests do too.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    tools: ClassVar[tuple[str, ...]]
    consumes: ClassVar[Format]
    produces: ClassVar[Format]
    uses_samples: ClassVar[bool]
    uses_lesson: ClassVar[bool]

    def requires(self, source: Artifact, context: StepContext) -> None:
        """Raise StepError, saying what to change, if run cannot work. Cheap; no heavy import."""

    def run(self, source: Artifact, context: StepContext) -> Artifact:
        """Write a new artifact under context.workdir; leave source as it is."""
        ...


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Ordered steps under a name that reports show."""

    name: str
    steps: tuple[Step, ...]
    reason: str = ""
