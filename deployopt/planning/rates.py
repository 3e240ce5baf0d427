"""A target as arithmetic sees it: what one request on it can use.

In: a target, a precision, the kind of work. Out: a `Setting`, or None where the target has no
arithmetic of that precision. A card without an arithmetic computes in the next that it has, and the
setting's note says so.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from deployopt.core.artifact import Precision
from deployopt.core.target import Hardware, Target
from deployopt.planning.memory.weights import FULL
from deployopt.planning.terms import Domain, Kind, Setting, contention, crowding
from deployopt.planning.usable import card_count

WEIGHT_BYTES: Final[Mapping[Precision, float]] = {
    Precision.FP32: 4.0,
    Precision.TF32: 4.0,
    Precision.FP16: 2.0,
    Precision.BF16: 2.0,
    Precision.MIXED: 2.0,
    Precision.INT8: 1.0,
    Precision.FP8: 1.0,
    Precision.INT4: 4.25 / 8,
    Precision.NF4: 4.5 / 8,
}
RUNTIMES: Final = {
    "cpu": "onnxruntime",
    "cuda": "onnxruntime-cuda",
    "tensorrt": "tensorrt",
    "tensorrt-plan": "tensorrt",
    "tensorrt-rtx": "tensorrt",
}
"""The family of runtimes that a target's provider belongs to."""

# Integer work against float on CPUs with a dot product: 2.6 on Cortex-A76 and on AVX512-VNNI,
# where the peaks promise 4. Without one the profile's measured rate stands, or fp32's.
_INT8_GAIN_MAX: Final = 2.6
PLAIN: Final = 2.1
"""GPUs without matrix units do fp16 at most this many times as fast as fp32."""
_AS_INT8: Final = "as much of fp8's peak as int8 was measured to reach of its own"
_GPU_ONLY: Final = frozenset({Precision.TF32, Precision.FP8})
_WEIGHTS_ONLY: Final = frozenset({Precision.INT4, Precision.NF4})
_INTEGER: Final = frozenset({Precision.INT8, Precision.MIXED})

# Boards and cards of the fitted tables, by what a target says of itself.
_DEVICES: Final = {
    "Raspberry Pi 4": "rpi4",
    "Raspberry Pi 5": "rpi5",
    "Jetson Orin Nano": "jetson_orin_nano",
    "NVIDIA GeForce RTX 3060": "rtx3060_12gb",
    "NVIDIA GeForce RTX 4090": "rtx4090",
    "Tesla T4": "t4",
    "NVIDIA A100-SXM4-40GB": "a100_40",
}


class Arithmetic(NamedTuple):
    """What products are computed in, operations/s, bytes of a value, and what to say of it."""

    name: str
    operations: float
    value_bytes: float
    note: str = ""


def setting_of(target: Target, precision: Precision, domain: Domain) -> Setting | None:
    """What one request on this target can use; a single GPU works on it.

    Int8 convolution nets are quantized statically, so their values are bytes; on a CPU a
    transformer's stay float between the products.
    """
    hardware = target.hardware
    on_gpu = target.runtime.provider != "cpu"
    if not on_gpu and precision in _GPU_ONLY:
        return None
    at = _on_gpu(hardware, precision) if on_gpu else _on_cpu(target, precision, domain)
    gpus = card_count(target)
    integer = precision is Precision.MIXED and not on_gpu
    return Setting(
        device=_device(target),
        kind=kind_of(target),
        runtime=RUNTIMES[target.runtime.provider],
        arithmetic=at.name,
        operations=at.operations / gpus,
        bandwidth=hardware.bandwidth / gpus,
        weight_bytes=WEIGHT_BYTES[Precision.INT8 if integer else precision],
        activation_bytes=at.value_bytes,
        plain=on_gpu and not hardware.peak.tf32 and at.operations <= PLAIN * hardware.peak.fp32,
        single=not on_gpu and target.runtime.threads == 1 and hardware.cores > 1,
        note=at.note,
    )


def kind_of(target: Target) -> Kind:
    """Of what its models run on: the card's, or the processor's."""
    if target.runtime.provider == "cpu":
        return "arm-cpu" if target.hardware.arch == "aarch64" else "x86-cpu"
    # A GPU beside ARM cores is a Jetson's; servers' have bandwidth of another order.
    small = target.hardware.bandwidth < _JETSON_BANDWIDTH
    return "jetson-gpu" if target.hardware.arch == "aarch64" and small else "nvidia-gpu"


_JETSON_BANDWIDTH: Final = 400e9


def _device(target: Target) -> str | None:
    """The name that the fitted tables have for this device; a Jetson's processor is another."""
    gpu = target.hardware.gpu
    name = gpu.model if gpu is not None else ""
    found = _DEVICES.get(name) or _DEVICES.get(target.match.board or "")
    on_host = target.runtime.provider == "cpu" and gpu is not None
    return f"{found}_cpu" if found and on_host else found


def _on_cpu(target: Target, precision: Precision, domain: Domain) -> Arithmetic:
    """CPUs run half precision at the rate of fp32: the runtime's kernels have no faster one."""
    peak = target.hardware.peak
    rate = float(peak.fp32) * _share(target)
    if precision in _INTEGER:
        gain = 1.0 if peak.int8 is None else min(peak.int8 / peak.fp32, _INT8_GAIN_MAX)
        return Arithmetic("int8", gain * rate, 1.0 if domain == "convolution" else 4.0)
    if precision in _WEIGHTS_ONLY:
        return Arithmetic("quantized", rate, 4.0, f"{precision} weights, computed in fp32")
    return Arithmetic("fp32", rate, 4.0)


def _share(target: Target) -> float:
    """The part of the whole device's rate that the runtime's threads reach."""
    hardware = target.hardware
    kind = "arm-cpu" if hardware.arch == "aarch64" else "x86-cpu"
    used = min(target.runtime.threads, hardware.cores)
    crowd = contention(kind, hardware.bandwidth, hardware.cores)
    return used / hardware.cores * crowding(kind, used, crowd)


def _on_gpu(hardware: Hardware, precision: Precision) -> Arithmetic:
    """The peak of this precision, or of the next that the card has; TF32 is off in fp32."""
    peak = hardware.peak
    if precision in FULL:
        if precision is Precision.TF32 and peak.tf32 is not None:
            return Arithmetic("tf32", peak.tf32, 4.0)
        note = "" if precision is Precision.FP32 else "no tf32 here: computed in fp32"
        return Arithmetic("fp32", peak.fp32, 4.0, note)
    if precision is Precision.INT8 and peak.int8 is not None:
        return Arithmetic("int8", peak.int8, 1.0)
    if precision is Precision.FP8 and peak.fp8 is not None:
        return Arithmetic("int8", peak.fp8, 1.0, _AS_INT8)
    half = peak.bf16 if precision is Precision.BF16 else peak.fp16
    done = "quantized" if precision in _WEIGHTS_ONLY else "fp16"
    if half is None:
        return Arithmetic(
            "quantized" if precision in _WEIGHTS_ONLY else "fp32", peak.fp32, 4.0,
            f"no peak of {precision} given: computed in fp32",
        )  # fmt: skip
    lacks = precision in {Precision.INT8, Precision.FP8}
    return Arithmetic(
        done, half, 2.0, f"no peak of {precision} given: computed in fp16" if lacks else ""
    )
