"""Training a model, as a row of a table tells it: the parts, and what else it may mean.

In: a row's `Way`, its source's convention, a shape. Out: readings, each the parts of one way to
understand the row; the first is the likeliest. Defaults where a row is silent: 512 tokens, bf16,
AdamW, checkpointing for models that generate, adapters of rank 16 on every linear layer.
"""

from typing import Final

import msgspec

from benchmarks.memory_conventions import Convention
from benchmarks.memory_running import HALF_BITS, Reading
from benchmarks.memory_settings import Way
from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer, Sharding, Training
from deployopt.planning.memory.saved import Inputs
from deployopt.planning.memory.training import Details, training_parts
from deployopt.planning.memory.weights import NF4_DOUBLE_BITS

_ENCODER_TOKENS: Final = 128
_TRAINED_TOKENS: Final = 512
_FULL_BITS: Final = 32.0
_FUSED_LOGIT_BYTES: Final = 2.0
# torch.compile fuses the cast to fp32 into the loss: scores and their gradient, in 16 bits.
_COMPILED_LOGIT_BYTES: Final = 4.0
_BIASED: Final = frozenset({"t5", "mt5", "umt5", "longt5"})
_FROZEN_BUT: Final = 2
"""Layers that are trained where a row says no more than `freeze`: LLaMA-Factory's default."""
_LARGEST_CARD: Final = 80 * 2**30


def training_readings(
    way: Way, said: Convention, architecture: Architecture
) -> tuple[Reading, ...]:
    """As told; in fp32 where no precision is; as PEFT prepares a base where its trainer is not;
    with adapters on every linear layer where only the source's habit says that they are not."""  # noqa: D205, D209
    ways = [way]
    if way.bits is None and way.half is None:
        ways.append(msgspec.structs.replace(way, bits=_FULL_BITS, half=False))
    if _quantized(way) and _prepared(way, said) is None:
        ways.append(msgspec.structs.replace(way, prepared=True))
    if way.attention_only is None and said.attention_only:
        ways.append(msgspec.structs.replace(way, attention_only=False))
    return tuple(_reading(one, said, architecture) for one in ways)


def _reading(way: Way, said: Convention, architecture: Architecture) -> Reading:
    """Where a card is named and the run would not fit it, the next leaner way was taken."""
    tried = _ways(way, said, architecture)
    limit = _LARGEST_CARD if way.card_gb is None else way.card_gb * 2**30
    for training, details in tried:
        parts = training_parts(architecture, training, details)
        if sum(part.bytes for part in parts) <= limit:
            return parts
    return training_parts(architecture, *tried[-1])


def _ways(way: Way, said: Convention, architecture: Architecture) -> list[tuple[Training, Details]]:
    training, details = _training_of(way, said, architecture), _details_of(way, said)
    ways = [(training, details)]
    if training.method is not Method.FULL:
        return ways
    if way.card_gb is None or not _alone(way):
        # More than a card holds was shared out, and shared updates are made piece by piece.
        pieces = msgspec.structs.replace(details, whole_step=False)
        return [*ways, (training, pieces)]
    pure = msgspec.structs.replace(training, pure=True)
    small = msgspec.structs.replace(pure, optimizer=Optimizer.ADAMW_8BIT)
    paged = msgspec.structs.replace(details, foreign_states=True)
    fused = msgspec.structs.replace(paged, fused_backward=True)
    return [*ways, (pure, details), (small, details), (small, paged), (small, fused)]


def _alone(way: Way) -> bool:
    return way.devices == 1 and way.sharding is None


def _training_of(way: Way, said: Convention, architecture: Architecture) -> Training:
    full = way.half is False or (way.bits is not None and way.bits > HALF_BITS)
    checkpointing = architecture.generates
    for stated in (said.checkpointing, way.checkpointing):
        checkpointing = checkpointing if stated is None else stated
    sharding = way.sharding or (Sharding.DDP if way.devices > 1 else Sharding.NONE)
    return Training(
        method=way.method or Method.FULL,
        precision=Precision.FP32 if full else Precision.BF16,
        pure=_pure(way, said),
        optimizer=way.optimizer or (Optimizer.ADAMW_8BIT if said.paged else Optimizer.ADAMW),
        batch=way.batch,
        length=way.tokens or (_TRAINED_TOKENS if architecture.generates else _ENCODER_TOKENS),
        checkpointing=checkpointing,
        flash=_flash(way, said, architecture),
        trained_share=_FROZEN_BUT / max(1, sum(stack.layers for stack in architecture.stacks)),
        rank=way.rank or said.rank,
        devices=way.devices,
        sharding=sharding,
    )


def _pure(way: Way, said: Convention) -> bool:
    """Full training "in bf16" on one device loads the model in bf16 and trains what it loaded;
    with fp32 copies it is called mixed."""  # noqa: D205, D209
    for stated in (way.pure, said.pure):
        if stated is not None:
            return stated
    return way.method is Method.FULL and way.bfloat and _alone(way)


def _flash(way: Way, said: Convention, architecture: Architecture) -> bool:
    """Transformers' default since 2024, except where scores have a bias of their own."""
    for stated in (way.flash, said.flash):
        if stated is not None:
            return stated
    return architecture.model_type not in _BIASED


def _details_of(way: Way, said: Convention) -> Details:
    bits = way.bits if way.bits is not None and way.bits < HALF_BITS else None
    if way.method is Method.QLORA and bits is None:
        bits = NF4_DOUBLE_BITS
    attention_only = said.attention_only if way.attention_only is None else way.attention_only
    return Details(
        base_bits=bits,
        cast=said.cast is not False,
        prepared=_prepared(way, said) or False,
        attention_only=attention_only,
        trained_tables=way.trained_tables,
        inputs=_inputs(bits, attention_only=attention_only),
        logit_bytes=_logit_bytes(way, said),
        head_quantized=said.head_quantized,
        fused_backward=way.fused_backward,
        foreign_states=said.paged if way.paged is None else way.paged,
    )


def _logit_bytes(way: Way, said: Convention) -> float | None:
    if way.fused_loss:
        return _FUSED_LOGIT_BYTES
    compiled = _COMPILED_LOGIT_BYTES if way.compiled else None
    return compiled if said.logit_bytes is None else said.logit_bytes


def _quantized(way: Way) -> bool:
    return way.method is Method.QLORA or (way.bits is not None and way.bits < HALF_BITS)


def _prepared(way: Way, said: Convention) -> bool | None:
    """Whether what is not quantized stays in fp32; GPTQ's and AWQ's layers are left alone."""
    if way.gptq or said.cast is not None or not _quantized(way):
        return False
    return way.prepared


def _inputs(bits: float | None, *, attention_only: bool) -> Inputs | None:
    """Adapters on queries and values leave the other matrices as they are, unless quantized."""
    return Inputs.NONE if attention_only and bits is None else None
