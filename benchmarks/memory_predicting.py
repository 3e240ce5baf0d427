"""What the planner says of one row of a table of memory measurements.

In: a row and its `Way`. Out: an estimate in bytes of what the row measured: by nvidia-smi, context
included, unless its source measured what torch allocated. Defaults where a row is silent: batch 1,
64 tokens for a prompt of unknown length, 512 for training, bf16, AdamW, checkpointing for models
that generate, adapters of rank 16 on every linear layer.
"""

import tomllib
from functools import cache
from typing import Final

import msgspec

from benchmarks.memory_settings import Row, Way, read_way
from benchmarks.memory_shapes import DATA, Pipeline, Shape, find_shape
from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.memory import Method, Optimizer, Part, Sharding, Training
from deployopt.planning.memory.bands import (
    CUDA_CONTEXT_BAND,
    CUDA_CONTEXT_BYTES,
    INFERENCE_BAND,
    RUNTIME,
    TRAINING_BAND,
    memory_need,
)
from deployopt.planning.memory.passing import graph_elements
from deployopt.planning.memory.saved import Inputs
from deployopt.planning.memory.serving import Serving, serving_parts
from deployopt.planning.memory.training import Details, training_parts
from deployopt.planning.memory.weights import NF4_DOUBLE_BITS

_PROMPT: Final = 64
_ENCODER_TOKENS: Final = 128
_TRAINED_TOKENS: Final = 512
_HALF_BITS: Final = 16.0
_RANK: Final = 16
# The decoder of an image's latents: three maps of 256 channels at full size, in 16 bits.
_PIXEL_BYTES: Final = 3 * 256 * 2.0
_FUSED_LOGIT_BYTES: Final = 2.0
_BIASED: Final = frozenset({"t5", "mt5", "umt5", "longt5"})
_FROZEN_BUT: Final = 2
"""Layers that are trained where a row says no more than `freeze`: LLaMA-Factory's default."""
_LARGEST_CARD: Final = 80 * 2**30
_BASIS: Final = "formulas over the model's shape"


class Convention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a source's pages and scripts say of how it measured and ran."""

    match: str = ""
    allocated: bool | None = None
    gibibytes: bool = False
    head_quantized: bool = False
    attention_only: bool = False
    rank: int = _RANK
    checkpointing: bool | None = None
    pure: bool = False
    paged: bool = False
    flash: bool | None = None
    logit_bytes: float | None = None
    cast: bool = True


class _Conventions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    conventions: tuple[Convention, ...]


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """`naive_bytes` are the weights at the row's precision, for the rules of thumb."""

    estimate: Estimate
    parts: tuple[Part, ...]
    measured: float
    parameters: int
    weight_bytes: float
    trained: bool
    how: str
    unread: tuple[str, ...]


def predict_row(row: Row) -> Predicted:
    """The estimate beside the measurement, both in bytes.

    Raises:
        ValueError: something in the row cannot be read.
    """
    way, said = read_way(row), convention_of(row.source)
    billions = float(row.params_b) if row.params_b.strip() else None
    shape = None if way.overhead else find_shape(row.model, billions)
    parts, share = _parts(way, said, shape)
    runtime, band = _runtime(_allocated(way, said))
    need = memory_need(
        (*parts, Part(name=RUNTIME, bytes=runtime)), share, _BASIS, runtime_band=band
    )
    copies = way.devices if way.summed else 1
    parameters = _parameters(shape)
    bits = _HALF_BITS if way.bits is None else way.bits
    return Predicted(
        estimate=_times(need.total, copies),
        parts=need.parts,
        measured=_measured(row, said),
        parameters=parameters,
        weight_bytes=parameters * bits / 8,
        trained=way.method is not None,
        how="nothing but the runtime" if shape is None else shape.how,
        unread=way.unread,
    )


def convention_of(source: str) -> Convention:
    """The first whose `match` stands in the source."""
    table = _conventions()
    return next((c for c in table if c.match.lower() in source.lower()), Convention())


@cache
def _conventions() -> tuple[Convention, ...]:
    text = (DATA / "memory_conventions.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Conventions).conventions


def _allocated(way: Way, said: Convention) -> bool | None:
    """Whether torch's allocations were measured rather than the device's use; None: unsaid."""
    return said.allocated if way.allocated is None else way.allocated


def _runtime(allocated: bool | None) -> tuple[float, float]:  # noqa: FBT001 -- three ways to count
    """The runtime that is in the measurement, and its band; half the context where nobody says."""
    if allocated:
        return 0.0, 0.0
    share = 0.5 if allocated is None else 1.0
    return share * CUDA_CONTEXT_BYTES, CUDA_CONTEXT_BAND


def _measured(row: Row, said: Convention) -> float:
    value = float(row.measured_gb)
    unit = row.unit.strip().lower()
    scales = {"gb": 1e9, "gib": 2.0**30, "mb": 1e6, "mib": 2.0**20}
    if unit not in scales:
        raise ValueError(f"the unit {row.unit!r} is none of GB, GiB, MB, MiB")
    return value * (2.0**30 if said.gibibytes and unit == "gb" else scales[unit])


def _parts(way: Way, said: Convention, shape: Shape | None) -> tuple[tuple[Part, ...], float]:
    if shape is None:
        return (), INFERENCE_BAND
    if shape.pipeline is not None:
        return _pipeline(way, shape.pipeline), INFERENCE_BAND
    if shape.architecture is None:
        raise ValueError("the model has no shape")
    if way.method is None:
        return _inference(way, said, shape.architecture), INFERENCE_BAND
    return _training(way, said, shape.architecture), TRAINING_BAND


def _inference(way: Way, said: Convention, architecture: Architecture) -> tuple[Part, ...]:
    bits = _HALF_BITS if way.bits is None else way.bits
    width = 4.0 if bits > _HALF_BITS else 2.0
    if not architecture.generates:
        elements = graph_elements(
            architecture, batch=way.batch, tokens=way.tokens or _ENCODER_TOKENS
        )
        return (
            Part(name="weights", bytes=architecture.parameters * bits / 8),
            Part(name="activations", bytes=2 * elements * width),
        )
    prompt = way.tokens or _PROMPT
    context = prompt + (way.generated or 0)
    if way.growing or way.generated == way.tokens:
        prompt, context = 1, prompt
    serving = Serving(
        bits=bits,
        batch=way.batch,
        context=context,
        prompt=prompt,
        cache_bytes=width if way.cache_bytes is None else way.cache_bytes,
        activation_bytes=width,
        head_quantized=said.head_quantized and bits < _HALF_BITS,
        concatenated=way.growing and not _allocated(way, said),
    )
    return serving_parts(architecture, serving)


def _pipeline(way: Way, pipeline: Pipeline) -> tuple[Part, ...]:
    bits = _HALF_BITS if way.bits is None else way.bits
    others = max(bits, _HALF_BITS)
    side = way.side or pipeline.side
    tokens = (side / pipeline.patch) ** 2
    width = others / 8
    passing = tokens * (4 * pipeline.hidden + 2 * pipeline.ffn) * width
    decoding = side * side * _PIXEL_BYTES * width / 2
    return (
        Part(name="weights", bytes=pipeline.quantized * bits / 8),
        Part(name="embeddings and head", bytes=pipeline.others * others / 8),
        Part(name="activations", bytes=way.batch * max(passing, decoding)),
    )


def _training(way: Way, said: Convention, architecture: Architecture) -> tuple[Part, ...]:
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
    if way.card_gb is None:
        # More than a card holds was shared out, and shared updates are made piece by piece.
        pieces = msgspec.structs.replace(details, whole_step=False)
        return [*ways, (training, pieces)]
    pure = msgspec.structs.replace(training, pure=True)
    small = msgspec.structs.replace(pure, optimizer=Optimizer.ADAMW_8BIT)
    paged = msgspec.structs.replace(details, foreign_states=True)
    fused = msgspec.structs.replace(paged, fused_backward=True)
    return [*ways, (pure, details), (small, details), (small, paged), (small, fused)]


def _training_of(way: Way, said: Convention, architecture: Architecture) -> Training:
    full = way.half is False or (way.bits is not None and way.bits > _HALF_BITS)
    checkpointing = architecture.generates
    for stated in (said.checkpointing, way.checkpointing):
        checkpointing = checkpointing if stated is None else stated
    sharding = way.sharding or (Sharding.DDP if way.devices > 1 else Sharding.NONE)
    return Training(
        method=way.method or Method.FULL,
        precision=Precision.FP32 if full else Precision.BF16,
        pure=said.pure if way.pure is None else way.pure,
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


def _flash(way: Way, said: Convention, architecture: Architecture) -> bool:
    """Transformers' default since 2024, except where scores have a bias of their own."""
    for stated in (way.flash, said.flash):
        if stated is not None:
            return stated
    return architecture.model_type not in _BIASED


def _details_of(way: Way, said: Convention) -> Details:
    bits = way.bits if way.bits is not None and way.bits < _HALF_BITS else None
    if way.method is Method.QLORA and bits is None:
        bits = NF4_DOUBLE_BITS
    attention_only = said.attention_only if way.attention_only is None else way.attention_only
    return Details(
        base_bits=bits,
        cast=said.cast,
        attention_only=attention_only,
        trained_tables=way.trained_tables,
        inputs=_inputs(bits, attention_only=attention_only),
        logit_bytes=_FUSED_LOGIT_BYTES if way.fused_loss else said.logit_bytes,
        head_quantized=said.head_quantized,
        fused_backward=way.fused_backward,
        foreign_states=said.paged if way.paged is None else way.paged,
    )


def _inputs(bits: float | None, *, attention_only: bool) -> Inputs | None:
    """Adapters on queries and values leave the other matrices as they are, unless quantized."""
    return Inputs.NONE if attention_only and bits is None else None


def _parameters(shape: Shape | None) -> int:
    if shape is None:
        return 0
    if shape.pipeline is not None:
        return shape.pipeline.quantized
    return 0 if shape.architecture is None else shape.architecture.parameters


def _times(estimate: Estimate, copies: int) -> Estimate:
    return msgspec.structs.replace(
        estimate,
        value=estimate.value * copies,
        lower=estimate.lower * copies,
        upper=estimate.upper * copies,
    )
