"""How fast a target works, as arithmetic sees it: rates, efficiencies, overheads.

In: a target and a precision. Out: operations and bytes a second. The efficiencies are defaults read
off published runs, not fitted to any device: a prior, which a measurement replaces.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.target import Target

# The share of peak that each kind of operator reaches. ONNX Runtime's float convolution nets reach
# 27 to 35 % of a Pi 4's four-core peak; its linear layers about 60 % of an x86 core's. A
# convolution of one point is a matrix product.
_ARM: Final = {
    "gemm": 0.40, "conv1x1": 0.40, "conv3x3": 0.45, "conv": 0.30, "depthwise": 0.10,
    "elementwise": 0.10,
}  # fmt: skip
_X86: Final = {
    "gemm": 0.60, "conv1x1": 0.60, "conv3x3": 0.50, "conv": 0.40, "depthwise": 0.12,
    "elementwise": 0.10,
}  # fmt: skip
_GPU: Final = {
    "gemm": 0.50, "conv1x1": 0.50, "conv3x3": 0.45, "conv": 0.35, "depthwise": 0.05,
    "elementwise": 0.05,
}  # fmt: skip
_UNKNOWN_KIND: Final = 0.20

# Seconds that an operator costs before it computes: dispatch on a CPU, a kernel launch on a GPU.
_OVERHEAD_S: Final = {"aarch64": 20e-6, "x86_64": 5e-6}
_LAUNCH_S: Final = 8e-6

# Integer work against float on CPUs with a dot product: 2.6 on Cortex-A76 and on AVX512-VNNI,
# where the peaks promise 4. Without one the profile's measured rate stands, or fp32's.
_INT8_GAIN_MAX: Final = 2.6

# Four threads of a Raspberry Pi do 1.8 times the work of one: s(n) = n / (1 + c (n - 1)).
_CONTENTION: Final = 0.41

WEIGHTS_SHARE: Final = 0.7
ACTIVATIONS_SHARE: Final = 0.5


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What one request can use: operations/s, bytes/s, bytes an element, seconds an operator."""

    operations: float
    bandwidth: float
    weight_bytes: float
    activation_bytes: float
    overhead_s: float
    efficiency: Mapping[str, float]

    def of(self, kind: str) -> float:
        """Operations a second that an operator of this kind reaches."""
        return self.operations * self.efficiency.get(kind, _UNKNOWN_KIND)


def rates(target: Target, precision: Precision, *, convolutional: bool = False) -> Rates:
    """The rates of one request on this target; a single GPU works on it.

    Int8 convolution nets are quantized statically, so their activations are bytes; a transformer's
    stay float between the products.
    """
    hardware = target.hardware
    on_gpu = target.runtime.provider != "cpu"
    devices = hardware.gpu.count if on_gpu and hardware.gpu else 1
    peak = _gpu_peak(target, precision) if on_gpu else _cpu_peak(target, precision)
    return Rates(
        operations=peak / devices,
        bandwidth=hardware.bandwidth / devices,
        weight_bytes=WEIGHT_BYTES[precision],
        activation_bytes=_activation_bytes(precision, on_gpu=on_gpu, static=convolutional),
        overhead_s=_LAUNCH_S if on_gpu else _OVERHEAD_S[hardware.arch],
        efficiency=_GPU if on_gpu else {"aarch64": _ARM, "x86_64": _X86}[hardware.arch],
    )


WEIGHT_BYTES: Final[Mapping[Precision, float]] = {
    Precision.FP32: 4.0,
    Precision.FP16: 2.0,
    Precision.BF16: 2.0,
    Precision.INT8: 1.0,
    Precision.MIXED: 2.0,
}
_HALF: Final = frozenset({Precision.FP16, Precision.BF16})


def _activation_bytes(precision: Precision, *, on_gpu: bool, static: bool) -> float:
    if precision is Precision.INT8 and static:
        return 1.0
    return 2.0 if precision in _HALF and on_gpu else 4.0


def thread_share(threads: int, cores: int) -> float:
    """The share of the whole device's rate that `threads` of its `cores` reach."""
    used = min(threads, cores)
    return _speedup(used) / _speedup(cores)


def _speedup(threads: int) -> float:
    return threads / (1 + _CONTENTION * (threads - 1))


def _cpu_peak(target: Target, precision: Precision) -> float:
    """CPUs run half precision at the rate of fp32: the runtime's kernels have no faster one."""
    peak = target.hardware.peak
    rate = float(peak.fp32)
    if precision in {Precision.INT8, Precision.MIXED} and peak.int8 is not None:
        rate = min(float(peak.int8), _INT8_GAIN_MAX * peak.fp32)
    return rate * thread_share(target.runtime.threads, target.hardware.cores)


def _gpu_peak(target: Target, precision: Precision) -> float:
    peak = target.hardware.peak
    found = {
        Precision.FP16: peak.fp16,
        Precision.BF16: peak.bf16 or peak.fp16,
        Precision.INT8: peak.int8 or peak.fp16,
        Precision.MIXED: peak.fp16,
        Precision.FP32: peak.fp32,
    }[precision]
    return float(found or peak.fp32)
