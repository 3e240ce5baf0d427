"""Which precisions a target computes in, and what it does with the others.

A precision without arithmetic of its own is no reason to refuse: weights are stored in it and
turned into one that the device has, which saves memory and not time.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.card import has_float8
from deployopt.core.target import Target

HIGHEST_FIRST: Final = (
    Precision.FP32,
    Precision.TF32,
    Precision.BF16,
    Precision.FP16,
    Precision.FP8,
    Precision.INT8,
    Precision.NF4,
    Precision.INT4,
)
_WEIGHTS_ONLY: Final = frozenset({Precision.NF4, Precision.INT4})


class Arithmetic(NamedTuple):
    """`note` is empty where the target computes in the precision itself."""

    supported: bool
    note: str = ""


def arithmetic(target: Target, precision: Precision) -> Arithmetic:
    """Whether the target has fast arithmetic of this precision, and if not what happens."""
    if _has(target, precision):
        return Arithmetic(supported=True)
    if precision is Precision.TF32:
        return Arithmetic(supported=False, note="no tf32 here: fp32 weights, computed in fp32")
    half = _half(target)
    if precision in _WEIGHTS_ONLY:
        # Nothing in the list computes in 4 bits: it is a way of storing weights.
        return Arithmetic(supported=True, note=f"{precision} weights, computed in {half}")
    if precision in {Precision.BF16, Precision.FP16}:
        return Arithmetic(supported=False, note=f"stored in {precision}, computed in fp32")
    return Arithmetic(supported=False, note=f"{precision} weights, computed in {half}")


def usual_precisions(target: Target, architecture: Architecture) -> tuple[Precision, ...]:
    """Those that make sense on this target for this model, from highest to lowest."""
    on_cpu = target.runtime.provider == "cpu"
    left_out = set()
    if not _has(target, Precision.TF32):
        left_out.add(Precision.TF32)
    if not _has(target, Precision.FP8):
        left_out.add(Precision.FP8)
    if on_cpu:
        left_out |= {Precision.BF16, Precision.NF4}
    if not architecture.generates:
        left_out |= {Precision.NF4, Precision.INT4}
    return tuple(p for p in HIGHEST_FIRST if p not in left_out)


def training_precision(target: Target) -> Precision:
    """Of the arithmetic: bf16 where there is any, fp16 on older GPUs, else fp32."""
    if target.runtime.provider == "cpu":
        return Precision.FP32
    if target.hardware.peak.bf16 is not None:
        return Precision.BF16
    return Precision.FP16 if target.hardware.peak.fp16 is not None else Precision.FP32


def _has(target: Target, precision: Precision) -> bool:
    if precision is Precision.FP32:
        return True
    peak = target.hardware.peak
    on_cpu = target.runtime.provider == "cpu"
    # ONNX Runtime's CPU kernels compute half precision in fp32, whatever the processor can.
    rates: Mapping[Precision, object] = {
        Precision.TF32: peak.tf32,
        Precision.BF16: None if on_cpu else peak.bf16,
        Precision.FP16: None if on_cpu else peak.fp16,
        Precision.INT8: peak.int8,
        Precision.FP8: _fp8(target),
    }
    return rates.get(precision) is not None


def _fp8(target: Target) -> bool | None:
    """Ada and later have it; profiles give no rate."""
    if target.runtime.provider == "cpu":
        return None
    return has_float8(target.compute_capability) or None


def _half(target: Target) -> str:
    peak = target.hardware.peak
    if target.runtime.provider == "cpu" or (peak.fp16 is None and peak.bf16 is None):
        return "fp32"
    return "fp16" if peak.bf16 is None else "bf16"
