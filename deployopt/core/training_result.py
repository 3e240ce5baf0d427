"""What `finetune` gives back: what was trained, how well it answers, what it took."""

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.training import Evaluation, LossPoint, TrainingOptions


class HeldOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accuracy on examples that neither trained nor chose: `right` of `examples`.

    The bounds are Clopper and Pearson's, two-sided together.
    """

    examples: int
    right: int
    accuracy: float
    lower: float
    upper: float
    confidence: float = 0.95


class HeldDialogues(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How likely the model takes held-out answers to be, beside the base: nats a token.

    `change` is the tuned model's over the base's, less one: -0.2 is a fifth less. Its bounds are
    one-sided, each at `confidence`; dialogues are the clusters.
    """

    dialogues: int
    tokens: int
    """That are judged: the assistant's, or all of a document's but the first."""
    base_nll: float
    tuned_nll: float
    change: float
    lower: float
    upper: float
    better: bool
    """Whether even the upper bound is below nothing."""
    confidence: float = 0.95
    documents: int = 0
    """Of the held-out file that are long enough for a build to be judged by."""


class TrainingMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The peak of this process beside what was predicted, in bytes."""

    predicted: Estimate
    measured_bytes: float
    ratio: float
    """Measured over predicted."""
    inside: bool
    """Whether the measured peak lies in the predicted band."""
    measured: str
    """What was measured, in words."""


class FinetuneResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `deployopt finetune` trained and wrote."""

    schema_version: int = 1
    base: str
    """The model as it was asked for."""
    resolved: str
    """Where it came from."""
    options: TrainingOptions
    reason: str
    """Why by this method."""
    labels: tuple[str, ...]
    """Of a language model there are none."""
    new_head: bool = False
    examples: dict[str, int]
    """Split name (train, validation, held-out) to examples."""
    epochs: float
    """Done; less than asked for where it was stopped."""
    steps: int
    best_epoch: float
    stopped: str | None = None
    """Why before the last epoch, if so."""
    held_out: HeldOut | None = None
    """Of a classifier."""
    held_dialogues: HeldDialogues | None = None
    """Of a language model."""
    evaluations: tuple[Evaluation, ...]
    curve: tuple[LossPoint, ...]
    seconds: float
    """Of this run's training; a resumed run's earlier part is not in it."""
    processes: int
    resumed_from: int | None = None
    """The step that a killed run had reached."""
    memory: TrainingMemory
    parameters: int
    parameters_trained: int
    folder: str
    digest: str
    """Of the folder."""
    weights_sha256: str
    warnings: tuple[str, ...] = ()
    exit_code: int
