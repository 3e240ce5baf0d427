"""How a run is trained: what was asked for, and for the rest what `recommend` would say.

In: the request, the base's shape, the number and length of the examples, and where memory has to
fit. Out: every option, the memory predicted for it, and the reason for the method. Refuses what
surely does not fit.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.memory import MemoryNeed, Method, Sharding, Training
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.core.training import PREFIX_TYPES, TrainingOptions
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.memory import training_need
from deployopt.planning.recommending import schedule
from deployopt.planning.recommending.training import first_that_fits, methods
from deployopt.planning.recommending.training_reasons import method_words
from deployopt.planning.recommending.ways import Asked, Way, way_for
from deployopt.planning.usable import shown_need, usable_bytes

Number = TypeVar("Number", int, float)
_LENGTH_MAX: Final = 512
_DIALOGUE_MAX: Final = 1024
_LENGTH_STEP: Final = 8
_COVERED: Final = 0.99
"""Of the texts that are trained with whole."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is trained: what torch has here, and how many processes there are."""

    gpu: bool
    bf16: bool
    processes: int
    four_bits: bool = False
    """Whether a base can be held in 4 bits."""


class Settled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options with what they are predicted to take of one device."""

    options: TrainingOptions
    need: MemoryNeed
    reason: str


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained, with how many examples; `lengths` in tokens, 1 for images."""

    name: str
    architecture: Architecture
    task: ModelTask
    examples: int
    lengths: Sequence[int]
    length_max: int
    model_type: str = ""


def settle_options(
    request: FinetuneRequest, subject: Subject, target: Target, site: Site
) -> Settled:
    """Every option of the run.

    Raises:
        UsageError: an option out of range.
        CannotFitError: the prediction, band and all, is over the target's memory.
    """
    most = _most_tokens(request, subject)
    length = min(request.length or most, most)
    if request.length is None:
        generates = subject.task is ModelTask.TEXT_GENERATION
        length = usual_length(subject.lengths, most, _DIALOGUE_MAX if generates else _LENGTH_MAX)
    way, dropped = _way(request, subject, target, length, four_bits=site.four_bits)
    options = _options(request, subject, way.training, site, length)
    options.check()
    if subject.task is ModelTask.TEXT_GENERATION:
        options.check_for_language()
    need = _need(options, subject.architecture, target, site)
    _require_room(need, target, subject, options)
    if request.method is not None:
        reason = "as asked for"
    else:
        shown = msgspec.structs.replace(way.training, trained_share=options.trained_share)
        reason = method_words(shown, dropped, subject.task, subject.examples)
    return Settled(options=options, need=need, reason=reason)


def _most_tokens(request: FinetuneRequest, subject: Subject) -> int:
    """Of a text; a prefix takes the first positions."""
    if request.method is not Method.PREFIX:
        return subject.length_max
    if subject.model_type not in PREFIX_TYPES:
        raise UsageError(
            "Prefix tuning needs a base whose attention takes keys from outside "
            f"({', '.join(PREFIX_TYPES)}), and {subject.name} is of the type "
            f"{subject.model_type!r}. Use --method lora."
        )
    rank = request.rank or schedule.rank(subject.examples)
    if rank > subject.length_max - _LENGTH_STEP:
        raise UsageError(
            f"A prefix of {rank} tokens leaves no room for texts: {subject.name} takes "
            f"{subject.length_max} tokens. Give a smaller --rank."
        )
    return subject.length_max - rank


def usual_length(lengths: Sequence[int], most: int, longest: int = _LENGTH_MAX) -> int:
    """Tokens that 99 % of the texts have at most, in steps of eight, up to `longest`."""
    ordered = sorted(lengths)
    found = ordered[max(0, math.ceil(_COVERED * len(ordered)) - 1)]
    return min(most, longest, -(-found // _LENGTH_STEP) * _LENGTH_STEP)


def _way(
    request: FinetuneRequest, subject: Subject, target: Target, length: int, *, four_bits: bool
) -> tuple[Way, tuple[Way, ...]]:
    tried = methods(subject.task, subject.examples) if request.method is None else (request.method,)
    if request.method is None and not four_bits:
        tried = tuple(method for method in tried if method is not Method.QLORA)
    if not subject.architecture.stacks and request.method is None:
        # Adapters stand beside linear layers: a convolution net has none to speak of.
        tried = tuple(method for method in tried if method in {Method.FULL, Method.FREEZE})
    ways = tuple(
        way_for(
            subject.architecture,
            target,
            Asked(
                method=method,
                length=length,
                batch=schedule.effective_batch(subject.task, subject.examples),
                rank=request.rank or schedule.rank(subject.examples),
            ),
        )
        for method in tried
    )
    way, dropped = first_that_fits(ways)
    return (ways[-1], ways[:-1]) if way is None else (way, dropped)


def _options(
    request: FinetuneRequest, subject: Subject, advised: Training, site: Site, length: int
) -> TrainingOptions:
    task, examples = subject.task, subject.examples
    batch = request.batch or advised.batch
    wanted = schedule.effective_batch(task, examples)
    usual = Precision.BF16 if site.bf16 else Precision.FP32
    given = request.checkpointing
    return TrainingOptions(
        method=advised.method,
        optimizer=request.optimizer,
        precision=request.precision or usual,
        epochs=_or(request.epochs, schedule.epochs(task, examples)),
        learning_rate=_or(
            request.learning_rate,
            schedule.learning_rate(task, advised.method, subject.architecture.parameters),
        ),
        warmup_share=_or(request.warmup_share, schedule.warmup_share(examples)),
        batch=batch,
        accumulation=_or(
            request.accumulation, max(1, math.ceil(wanted / (max(1, batch) * site.processes)))
        ),
        length=length,
        rank=_or(request.rank, advised.rank),
        trained_share=_or(request.trained_share, advised.trained_share),
        unfreeze_every=request.unfreeze_every,
        patience=request.patience,
        averaged=request.averaged,
        class_weights=request.class_weights,
        augment=request.augment,
        checkpointing=advised.checkpointing if given is None else given,
        seed=request.seed,
    )


def _or(given: Number | None, usual: Number) -> Number:
    return usual if given is None else given


def _need(
    options: TrainingOptions, architecture: Architecture, target: Target, site: Site
) -> MemoryNeed:
    """Of the process that trains here, whatever the target is."""
    provider = target.runtime.provider if site.gpu else "cpu"
    runtime = msgspec.structs.replace(target.runtime, provider=provider)
    training = Training(
        method=options.method,
        precision=options.precision,
        optimizer=options.optimizer,
        batch=options.batch,
        length=options.length,
        checkpointing=options.checkpointing,
        rank=options.rank,
        trained_share=options.trained_share,
        devices=site.processes,
        sharding=Sharding.DDP if site.processes > 1 else Sharding.NONE,
    )
    here = msgspec.structs.replace(target, runtime=runtime)
    return training_need(architecture, training, target=here)


def _require_room(
    need: MemoryNeed, target: Target, subject: Subject, options: TrainingOptions
) -> None:
    if need.total.lower <= usable_bytes(target):
        return
    # Adapters stand beside linear layers: a convolution net has none to speak of.
    adapts = bool(subject.architecture.stacks)
    instead = {
        Method.FULL: "--method lora, " if adapts else "--method freeze, ",
        Method.FREEZE: "--method lora, " if adapts else "",
    }
    leaner = instead.get(options.method, "")
    raise CannotFitError(
        f"Training {subject.name} by {options.method} takes {shown_need(need.total)}, and "
        f"{target.name} offers {show_quantity(usable_bytes(target), Dimension.SIZE)} to it. Try "
        f"{leaner}a smaller --batch, --checkpointing, or a smaller model; nothing was started."
    )
