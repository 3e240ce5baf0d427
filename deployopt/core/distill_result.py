"""What distilling gives back: the student beside its teacher, and how it learned.

Shares are of one, seconds are wall seconds on this machine. `loss` is the paired one: right and
wrong on the same held-out examples, with the bounds that a gate goes by.
"""

import msgspec

from deployopt.core.paired import LossBounds

SCHEMA_VERSION = 1


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of `n` examples with its two-sided interval (Clopper and Pearson)."""

    estimate: float
    lower: float
    upper: float
    n: int


class EpochScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After an epoch (0: before the first): the mean training loss, and the validation split.

    `divergence` is from the teacher's answers, in nats an example.
    """

    epoch: int
    loss: float | None
    agreement: float
    divergence: float


class Lessons(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the student learned; written beside its weights."""

    format: int = 1
    epochs: tuple[EpochScore, ...]
    best_epoch: int
    steps: int
    stopped: str
    """epochs, no better, or time limit."""
    layer_map: tuple[int, ...]
    """The teacher's layer that each layer of the student learned."""


class ModelShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's size; `macs` are multiply-adds of a request of `length` tokens, where known."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    parameters: int
    macs: float | None = None
    length: int | None = None


class DistillResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt distill` made of a teacher."""

    schema_version: int = SCHEMA_VERSION
    teacher: str
    student: str
    """Where the student came from: `cut from the teacher`, or a name."""
    kept_layers: tuple[int, ...] = ()
    """The layers of `before` that are left, by number."""
    before: ModelShape
    """The teacher."""
    after: ModelShape
    macs_ratio: float | None
    """The teacher's multiply-adds over the student's."""
    teacher_accuracy: Share | None
    """On the held-out split; None where nothing is labelled."""
    student_accuracy: Share | None
    agreement: Share
    """With the teacher, on the held-out split."""
    untrained_agreement: float
    """Of the student before it learned, on the validation split."""
    loss: LossBounds
    """Without labels the teacher is taken to be right everywhere."""
    lost: int
    """Right by the teacher alone, of the held-out examples."""
    gained: int
    """Right by the student alone."""
    confidence: float
    lessons: Lessons
    data: str
    splits: dict[str, int]
    notes: tuple[str, ...] = ()
    folder: str
    digest: str
    """sha256 over the student's files."""
    seconds: dict[str, float]
    """By stage; near zero where the store had the result."""
    reused: bool = False
    """The same student was made before."""
    exit_code: int = 0
