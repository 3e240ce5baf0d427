"""Which model, made small how, trained how and where, at what price: advice with its numbers."""

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.cost import Cost
from deployopt.core.evidence import Estimate
from deployopt.core.memory import MemoryNeed, Training
from deployopt.core.standing import Standing
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sentence with the number that it stands on."""

    about: str
    """model, precision, latency, data, training, batch, devices, quality, licence, ..."""
    text: str


class TrainingAdvice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to fine-tune; `where` is a target's name (another than asked: train elsewhere)."""

    where: str
    training: Training
    accumulation: int = 1
    """Steps whose gradients are added up before one update."""
    epochs: int
    learning_rate: float
    warmup_share: float
    early_stopping: bool
    augmentation: str = ""
    distil_from: str | None = None
    """The teacher's alias, where a student is trained to follow it."""
    need: MemoryNeed
    available_bytes: float
    standing: Standing
    hours: Estimate | None = None
    commands: tuple[str, ...]
    """Command lines that do it, in order."""
    output: str = ""
    """What the last of them writes, where they are deployopt's own."""
    judges: str = ""
    """Examples that the model was not trained on, as `build --data` takes them."""


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of the catalogue on the target, at `precision`.

    `latency_s`, `ttft_s`, `decode_tps` and `energy_j` are of one request alone; `memory`,
    `standing`, `throughput_per_s` and `batch_latency_s` are at `batch`.
    """

    alias: str
    title: str
    tier: str
    parameters: int
    licence: str
    quality: str
    """Metric, value, data, e.g. `91.1 % accuracy, SST-2 validation`; empty where none is known."""
    quality_source: str = ""
    precision: Precision
    compression: tuple[str, ...]
    """Steps in order, e.g. `distil into minilm`, `prune 30 % of the FFN`, `int8 dynamic`."""
    runtime: str
    batch: int
    standing: Standing
    memory: MemoryNeed | None
    predicted: dict[str, Estimate] = {}
    """Those of the above that can be predicted, in base units."""
    within_latency: Standing | None = None
    """Against the latency budget; None where it cannot be predicted or there is none."""
    training: TrainingAdvice | None = None
    reasons: tuple[Reason, ...]
    trade: str = ""
    """For an alternative: what it gives and what it costs against the first choice."""
    commands: tuple[str, ...] = ()
    """What to type next to build it."""


class Recommendation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer of `recommend`; `choice` is None where nothing in the catalogue will do."""

    task: ModelTask
    target: Target
    examples: int | None
    realtime: bool
    choice: Choice | None
    alternatives: tuple[Choice, ...] = ()
    refused: dict[str, str] = {}
    """Alias to why it will not do."""
    cost: Cost | None = None
    warnings: tuple[str, ...] = ()
