"""What the planner says of one row of a table of memory measurements.

In: a row. Out: an estimate in bytes of what the row measured: by nvidia-smi, context included,
unless its source measured what torch allocated. The value is of the likeliest reading of the row;
the band holds the bands of all that it does not rule out.
"""

from typing import Final

import msgspec

from benchmarks.memory_conventions import Convention, by_torch, convention_of
from benchmarks.memory_running import HALF_BITS, Reading, pipeline_reading, running_readings
from benchmarks.memory_settings import Row, Way, read_way
from benchmarks.memory_shapes import Shape, find_shape
from benchmarks.memory_training import training_readings
from deployopt.core.evidence import Estimate
from deployopt.core.memory import MemoryNeed, Part
from deployopt.planning.memory.bands import (
    CUDA_CONTEXT_BAND,
    CUDA_CONTEXT_BYTES,
    INFERENCE_BAND,
    RUNTIME,
    TRAINING_BAND,
    memory_need,
    reaching_to,
)

_BASIS: Final = "formulas over the model's shape"
# Of torch's allocations: libraries' workspaces, copies that last a moment.
_WORKSPACE_BAND: Final = 0.2e9
_PASSING: Final = frozenset({"activations", "logits"})
# Where nobody says what was measured, the context is half in the value, and no more than this share
# of the rest: of a small model the doubt stands in the band.
_DOUBTED_SHARE: Final = 0.1


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


def predict_row(row: Row, convention: Convention | None = None) -> Predicted:
    """The estimate beside the measurement, both in bytes.

    `convention` is what is known of the row's source; None: what data/memory_conventions.toml says.

    Raises:
        ValueError: something in the row cannot be read.
    """
    said = convention_of(row.source) if convention is None else convention
    way = read_way(row)
    billions = float(row.params_b) if row.params_b.strip() else None
    shape = None if way.overhead else find_shape(row.model, billions)
    need = _need(way, said, shape)
    parameters = _parameters(shape)
    bits = HALF_BITS if way.bits is None else way.bits
    return Predicted(
        estimate=_times(need.total, way.devices if way.summed else 1),
        parts=need.parts,
        measured=_measured(row, said),
        parameters=parameters,
        weight_bytes=parameters * bits / 8,
        trained=way.method is not None,
        how="nothing but the runtime" if shape is None else shape.how,
        unread=way.unread,
    )


def _need(way: Way, said: Convention, shape: Shape | None) -> MemoryNeed:
    share = INFERENCE_BAND if way.method is None else TRAINING_BAND
    allocated = by_torch(way.allocated, said)
    needs = [
        _with_runtime(parts, share, allocated=allocated) for parts in _readings(way, said, shape)
    ]
    if not allocated:
        needs = [_fragmented(need) for need in needs]
    return reaching_to(*needs)


def _fragmented(need: MemoryNeed) -> MemoryNeed:
    """As much reserved again as comes and goes: blocks for texts of all lengths stay with the
    process, and nvidia-smi counts them."""  # noqa: D205, D209
    more = sum(part.bytes for part in need.parts if part.name in _PASSING)
    total = msgspec.structs.replace(need.total, upper=need.total.upper + more)
    return msgspec.structs.replace(need, total=total)


def _readings(way: Way, said: Convention, shape: Shape | None) -> tuple[Reading, ...]:
    if shape is None:
        return ((),)
    if shape.pipeline is not None:
        return (pipeline_reading(way, shape.pipeline),)
    if shape.architecture is None:
        raise ValueError("the model has no shape")
    readings = running_readings if way.method is None else training_readings
    return readings(way, said, shape.architecture)


def _with_runtime(parts: Reading, share: float, *, allocated: bool | None) -> MemoryNeed:
    """The runtime that is in the measurement, and its band."""
    if allocated:
        return memory_need(parts, share, _BASIS, runtime_band=_WORKSPACE_BAND)
    context = CUDA_CONTEXT_BYTES
    if allocated is None and parts:
        rest = sum(part.bytes for part in parts)
        context = min(0.5 * CUDA_CONTEXT_BYTES, _DOUBTED_SHARE * rest)
    held = (*parts, Part(name=RUNTIME, bytes=context))
    band = CUDA_CONTEXT_BAND
    if allocated is None:
        # Up to where it would reach with half of the context.
        band += max(0.0, 0.5 * CUDA_CONTEXT_BYTES - context)
    return memory_need(held, share, _BASIS, runtime_band=band)


def _measured(row: Row, said: Convention) -> float:
    value = float(row.measured_gb)
    unit = row.unit.strip().lower()
    scales = {"gb": 1e9, "gib": 2.0**30, "mb": 1e6, "mib": 2.0**20}
    if unit not in scales:
        raise ValueError(f"the unit {row.unit!r} is none of GB, GiB, MB, MiB")
    return value * (2.0**30 if said.gibibytes and unit == "gb" else scales[unit])


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
