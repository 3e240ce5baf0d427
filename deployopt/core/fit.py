"""Whether a model fits a target, for every way of running or training it that was looked at."""

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.memory import MemoryNeed, Training
from deployopt.core.standing import Standing
from deployopt.core.target import Target


class Use(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way of running (`training` is None) or training the model on the target."""

    precision: Precision
    training: Training | None = None
    batch: int
    context: int | None = None
    """Tokens in all, the prompt and the answer; None for models without text."""
    devices: int = 1
    """GPUs that one copy of the model is split over by tensor parallelism; 1 where it is whole."""
    need: MemoryNeed
    available_bytes: float
    """Usable on one device."""
    standing: Standing
    """Of the need against what is usable: inside needs the whole band inside."""
    largest_batch: int | None = None
    """At this context; None where even one does not fit."""
    largest_context: int | None = None
    """At this batch, at most what the model allows; None where nothing fits or no text goes in."""
    supported: bool = True
    """Whether the target has fast arithmetic of this precision; `note` says what happens if not."""
    note: str = ""
    predicted: dict[str, Estimate] = {}
    """latency_s (a request), ttft_s (first token), decode_tps (tokens/s of one sequence), ..."""


class Fit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole answer of `fit`; uses stand from the highest precision to the lowest."""

    target: Target
    model: str
    architecture: Architecture | None
    """None for a graph, of which only operators and weights are known."""
    parameters: int
    uses: tuple[Use, ...]
    best: int | None
    """Which of `uses` is the highest precision (the fullest method) that fits."""
    give_up: tuple[str, ...] = ()
    """Where nothing fits as asked: what would, one sentence each."""
    cross_checks: tuple[str, ...] = ()
    """The common rules of thumb, in words with their numbers; shown, not used."""
    warnings: tuple[str, ...] = ()
