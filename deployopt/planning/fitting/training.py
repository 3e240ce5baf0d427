"""Training that fits a target: from the fullest method to the leanest.

In: a request or a way of training, and a model's shape. Out: a `Fit`, or the best way to train by
one method. Several GPUs share a run by DDP where each holds the model, else by FSDP.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.fit import Fit, Use
from deployopt.core.memory import MemoryNeed, Method, Optimizer, Sharding, Training
from deployopt.core.request import FitRequest
from deployopt.core.standing import Standing, standing_between
from deployopt.core.target import Target
from deployopt.planning.fitting.arithmetic import arithmetic, training_precision
from deployopt.planning.fitting.context import over_the_limit, within_positions
from deployopt.planning.fitting.giving_up_training import give_up_training
from deployopt.planning.fitting.searching import largest
from deployopt.planning.fitting.thumb import training_thumb
from deployopt.planning.memory.training import training_need
from deployopt.planning.usable import card_count, fits_inside, reads_text, usable_bytes

BATCH_MAX: Final = 4096
LENGTH_MAX: Final = 1 << 20
_ENOUGH: Final = 8
"""A batch that is not worth slower steps to raise."""
_NOTES: Final = {
    (Method.FULL, True): "weights, gradients and states in bf16, no fp32 copy: what a trainer does "
    "with a model that was loaded in bf16; small updates are rounded away",
    (Method.QLORA, False): "the upper end is without casting back after PEFT's "
    "prepare_model_for_kbit_training: embeddings, head and what passes between layers in fp32",
}


def fit_training(request: FitRequest, name: str, architecture: Architecture) -> Fit:
    """Training the model, by the methods asked for or by all of them."""
    uses = tuple(_use(request, architecture, way) for way in _ways(request, architecture))
    best = next((i for i, use in enumerate(uses) if use.standing is Standing.INSIDE), None)
    return Fit(
        target=request.target,
        model=name,
        architecture=architecture,
        parameters=architecture.parameters,
        uses=uses,
        best=best,
        give_up=() if best is not None else give_up_training(request, architecture, uses),
        cross_checks=training_thumb(uses, best, architecture),
        warnings=over_the_limit(request.context, architecture),
    )


def best_training(
    architecture: Architecture,
    target: Target,
    *,
    method: Method,
    length: int,
    batch_max: int = 64,
) -> tuple[Training, MemoryNeed, Standing]:
    """The largest batch, a power of two, that fits one device by this method.

    Without checkpointing if that allows a batch of 8 (or `batch_max`), else as allows more; full
    and frozen training with 8-bit Adam where AdamW does not fit a GPU. Where nothing fits, the
    leanest way at a batch of 1.
    """
    enough = min(batch_max, _ENOUGH)
    found: tuple[Training, MemoryNeed, Standing] | None = None
    for way in _leaner(target, method, length):
        shared = share(architecture, way, target)
        batch = _batch(architecture, shared, target, batch_max)
        tried = msgspec.structs.replace(shared, batch=batch or 1)
        need = training_need(architecture, tried, target=target)
        if batch is not None and (found is None or batch > found[0].batch):
            found = (tried, need, Standing.INSIDE)
        if batch is not None and batch >= enough:
            break
        if found is not None and way.checkpointing:
            break
    if found is not None:
        return found
    return tried, need, _standing(need, target)


def share(
    architecture: Architecture, training: Training, target: Target, asked: Sharding | None = None
) -> Training:
    """The same training over all GPUs of the target: DDP if that fits, else FSDP."""
    devices = card_count(target)
    if devices == 1 or asked is Sharding.NONE:
        return training
    if asked is not None:
        return msgspec.structs.replace(training, devices=devices, sharding=asked)
    ddp = msgspec.structs.replace(training, devices=devices, sharding=Sharding.DDP)
    if fits_inside(training_need(architecture, ddp, target=target).total, target):
        return ddp
    return msgspec.structs.replace(training, devices=devices, sharding=Sharding.FSDP)


def _ways(request: FitRequest, architecture: Architecture) -> Iterable[Training]:
    """Full, full with 8-bit Adam, full in bf16 alone, frozen, LoRA, QLoRA."""
    asked = request.methods or _methods(architecture)
    checkpointing = architecture.generates
    if request.checkpointing is not None:
        checkpointing = request.checkpointing
    usual = Training(
        precision=request.precisions[0]
        if request.precisions
        else training_precision(request.target),
        optimizer=request.optimizer,
        batch=request.batch,
        length=within_positions(request.context, architecture),
        checkpointing=checkpointing,
    )
    for method in Method:
        if method not in asked:
            continue
        way = msgspec.structs.replace(usual, method=method)
        yield way
        if method is Method.FULL and _on_gpu(request.target):
            yield from _leaner_full(way)


def _leaner_full(way: Training) -> Iterable[Training]:
    """fp16 alone has too small a range to be trained in."""
    if way.optimizer is Optimizer.ADAMW:
        yield msgspec.structs.replace(way, optimizer=Optimizer.ADAMW_8BIT)
    if way.precision is Precision.BF16:
        yield msgspec.structs.replace(way, pure=True)


def _methods(architecture: Architecture) -> tuple[Method, ...]:
    """Adapters stand beside linear layers: a convolution net has none to speak of."""
    if not architecture.stacks:
        return (Method.FULL, Method.FREEZE)
    # A prefix cannot be merged, so it is never advised.
    return tuple(method for method in Method if method is not Method.PREFIX)


def _use(request: FitRequest, architecture: Architecture, way: Training) -> Use:
    target = request.target
    available = usable_bytes(target)
    training = share(architecture, way, target, request.sharding)
    need = training_need(architecture, training, target=target)
    can = arithmetic(target, training.precision)
    supported, note = can.supported, can.note or _NOTES.get((training.method, training.pure), "")
    if training.method is Method.QLORA and not _on_gpu(target):
        supported, note = False, "4-bit bases are trained on CUDA GPUs"
    return Use(
        precision=training.precision,
        training=training,
        batch=training.batch,
        context=training.length if reads_text(architecture) else None,
        need=need,
        available_bytes=available,
        standing=_standing(need, target),
        largest_batch=_batch(architecture, training, target, BATCH_MAX, whole=True),
        largest_context=_length(architecture, training, target),
        supported=supported,
        note=note,
    )


def _batch(
    architecture: Architecture,
    training: Training,
    target: Target,
    limit: int,
    *,
    whole: bool = False,
) -> int | None:
    """The largest that fits; a power of two unless any whole number will do."""

    def holds(batch: int) -> bool:
        tried = msgspec.structs.replace(training, batch=batch)
        return fits_inside(training_need(architecture, tried, target=target).total, target)

    found = largest(holds, limit)
    if found is None or whole:
        return found
    return 1 << (found.bit_length() - 1)


def _length(architecture: Architecture, training: Training, target: Target) -> int | None:
    if not reads_text(architecture):
        return None

    def holds(length: int) -> bool:
        tried = msgspec.structs.replace(training, length=length)
        return fits_inside(training_need(architecture, tried, target=target).total, target)

    return largest(holds, max(architecture.positions or LENGTH_MAX, training.length))


def _leaner(target: Target, method: Method, length: int) -> Iterable[Training]:
    """From the fastest to the leanest."""
    usual = Training(method=method, precision=training_precision(target), length=length)
    yield usual
    yield msgspec.structs.replace(usual, checkpointing=True)
    if method in {Method.FULL, Method.FREEZE} and _on_gpu(target):
        yield msgspec.structs.replace(usual, checkpointing=True, optimizer=Optimizer.ADAMW_8BIT)


def _on_gpu(target: Target) -> bool:
    return target.runtime.provider != "cpu"


def _standing(need: MemoryNeed, target: Target) -> Standing:
    return standing_between(need.total.lower, need.total.upper, usable_bytes(target))
