"""What one training run is given, and what it gives back; nothing here needs torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployopt.core.dialogues import Sample
from deployopt.core.examples import Example
from deployopt.core.interface import Interface
from deployopt.core.samples import Feed
from deployopt.core.training import Evaluation, LossPoint, TrainingOptions
from deployopt.core.watching import Watcher


class Checkpoints(Protocol):
    """Where a run's state survives the process."""

    def save(self, folder: Path) -> None:
        """Keep the files of `folder`, which may be moved; what was kept before is let go."""

    def load(self) -> Path | None:
        """The folder that was kept last, to be read only."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Examples, perhaps read when they are asked for, and the class of each."""

    inputs: Sequence[Example]
    classes: Sequence[int]
    lengths: Sequence[int]
    """Of the inputs as they are trained with: tokens; 1 for images."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a classifier learns."""

    interface: Interface
    """Of the trained model; its labels are the head's."""
    new_head: bool
    train: Labelled
    validation: Labelled
    encode: Callable[[Example], Feed]
    """One example as the model takes it, with a batch dimension of 1."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a language model learns."""

    interface: Interface
    train: Sequence[Sample]
    validation: Sequence[Sample]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run: a base in `folder`, what it learns, options, and who is told."""

    folder: Path
    origin: str
    """The base's name, as it was resolved."""
    lessons: Labels | Words
    options: TrainingOptions
    workdir: Path
    checkpoints: Checkpoints
    resume: bool
    watcher: Watcher
    deadline_ns: int | None = None
    """On `time.perf_counter_ns`: by then everything is done, loading and judging too."""
    judged: int = 0
    """Examples that are answered after training."""

    @property
    def lengths(self) -> Sequence[int]:
        """Of what is trained with, in tokens."""
        return _lengths(self.lessons.train)

    @property
    def chosen_by(self) -> int:
        """Examples of the validation split."""
        return len(_lengths(self.lessons.validation))


def _lengths(part: Labelled | Sequence[Sample]) -> Sequence[int]:
    return part.lengths if isinstance(part, Labelled) else [len(one.ids) for one in part]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished run; `folder` holds config.json and model.safetensors of the best weights.

    Of a prefix it holds adapter_config.json and adapter_model.safetensors instead.
    """

    folder: Path
    evaluations: tuple[Evaluation, ...]
    curve: tuple[LossPoint, ...]
    epochs: float
    steps: int
    stopped: str | None
    resumed_from: int | None
    parameters: int
    parameters_trained: int
    peak_bytes: float
    peak_of: str
    seconds: float
