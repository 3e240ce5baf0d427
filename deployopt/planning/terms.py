"""How fast a device works, as arithmetic sees it: peaks, efficiencies, overheads, before any fit.

In: a target and a precision, or a device of the benchmark's tables. Out: a `Setting`, and from
it the seconds that each kind of operator takes. The efficiencies are defaults read off published
runs, a prior; `coefficients.py` holds what was fitted on top of it.

t = sum over operators of 2 macs / (efficiency x peak) + weight bytes / (0.7 x bandwidth)
+ activation bytes / (0.5 x bandwidth) + overhead.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from deployopt.core.plan import Operation

Kind = Literal[
    "arm-cpu", "x86-cpu", "riscv-cpu", "nvidia-gpu", "jetson-gpu", "apple-gpu", "amd-gpu",
    "intel-gpu", "mobile-gpu",
]  # fmt: skip
Domain = Literal["convolution", "encoder", "prefill", "decode"]

PRODUCTS: Final = ("gemm", "conv1x1", "conv3x3", "conv", "depthwise")
TERMS: Final = (*PRODUCTS, "weights", "activations", "elementwise", "overhead")
"""What a request's time is the sum of; each has fitted factors of its own."""
WEIGHTS_SHARE: Final = 0.7
ACTIVATIONS_SHARE: Final = 0.5

# The share of peak that each kind of operator reaches. ONNX Runtime's float convolution nets reach
# 27 to 35 % of a Pi 4's four-core peak; its linear layers about 60 % of an x86 core's. A
# convolution of one point is a matrix product.
_ARM: Final = {"gemm": 0.40, "conv1x1": 0.40, "conv3x3": 0.45, "conv": 0.30, "depthwise": 0.10}
_X86: Final = {"gemm": 0.70, "conv1x1": 0.70, "conv3x3": 0.60, "conv": 0.50, "depthwise": 0.15}
_GPU: Final = {"gemm": 0.50, "conv1x1": 0.70, "conv3x3": 0.65, "conv": 0.50, "depthwise": 0.05}
_EFFICIENCY: Final[Mapping[str, Mapping[str, float]]] = {
    "arm-cpu": _ARM, "riscv-cpu": _ARM, "x86-cpu": _X86,
}  # fmt: skip

# Seconds that an operator costs before it computes: dispatch on a CPU, a kernel launch on a GPU.
_OVERHEAD_S: Final = {
    "arm-cpu": 20e-6, "riscv-cpu": 30e-6, "x86-cpu": 5e-6, "jetson-gpu": 20e-6, "mobile-gpu": 60e-6,
}  # fmt: skip
_LAUNCH_S: Final = 8e-6

# What runtimes and machines are known for, as factors on those defaults: engines fuse what stands
# between products and launch less; eager code pays Python for each operator; llama.cpp's
# products of half floats are slow on CPUs; ncnn's int8 kernels are written for ARM; desktop caches
# hold the values of small nets. NVIDIA's demo of BERT has attention written by hand.
_HABITS: Final[Mapping[str, Mapping[str, float]]] = {
    "tensorrt": {"overhead": 0.4, "elementwise": 0.1, "activations": 0.25},
    "onnxruntime-cuda": {"activations": 0.4, "elementwise": 0.5},
    "ncnn-vulkan": {"overhead": 3.0, "elementwise": 0.5, "activations": 0.5, "gemm": 10.0},
    "ggml gpu": {"overhead": 0.3, "weights": 0.9},
    "ggml cpu": {"weights": 0.9},
    "ggml cpu fp16": {"gemm": 2.7},
    "ggml cpu fp16 stored": {"gemm": 5.0},
    "vllm": {"weights": 0.87},
    "eager gpu": {"overhead": 8.0, "weights": 0.87},
    "pytorch gpu": {"overhead": 3.5, "activations": 0.6, "elementwise": 0.4},
    "tensorrt gpu demo": {"gemm": 0.8, "activations": 0.8, "elementwise": 0.8},
    "pytorch cpu": {"overhead": 4.0, "gemm": 1.5},
    "tflite": {"conv1x1": 1.5, "conv3x3": 1.5, "conv": 1.5},
    "ncnn": {"gemm": 3.0},
    "onnxruntime x86-cpu": {"conv1x1": 0.75, "conv3x3": 0.75, "conv": 0.75},
    "ncnn x86-cpu int8": {"conv1x1": 1.6, "conv3x3": 1.6, "conv": 1.6},
    "x86-cpu": {"elementwise": 0.4, "activations": 0.4},
    "amd-gpu": {"weights": 1.3},
}

_PLAIN_GAIN: Final = 1.5

# Four threads of a Raspberry Pi do 1.8 times the work of one: s(n) = n / (1 + c (n - 1)).
CONTENTION: Final = 0.41
_CONTENTION_X86: Final = 0.06
_PI_BANDWIDTH: Final = 1.4e9
_FALL: Final = 0.6
_ARM_CORES: Final = 4


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What one request runs on: operations/s, bytes/s, bytes a weight and an activation.

    `arithmetic` is what the products are computed in, `runtime` a family of runtimes, `variant`
    the one of that family. `operations` and `bandwidth` are of the threads that are used.
    """

    device: str | None
    kind: Kind
    runtime: str
    variant: str = ""
    arithmetic: str
    operations: float
    bandwidth: float
    weight_bytes: float
    activation_bytes: float
    single: bool = False
    """One thread of several cores."""
    plain: bool = False
    """Products run on a GPU's ordinary cores, whose peak is easier reached than matrix units'."""
    overlaps: bool = False
    """Kernels are launched one by one from Python while the ones before still compute."""
    note: str = ""

    @property
    def platform(self) -> str:
        """Cpu or gpu."""
        return self.kind.rpartition("-")[2]


def terms(operations: Iterable[Operation], at: Setting) -> dict[str, float]:
    """Seconds of each term by the datasheet and the default efficiencies."""
    efficiency = _EFFICIENCY.get(at.kind, _GPU)
    found = dict.fromkeys(TERMS, 0.0)
    for operation in operations:
        product = operation.kind in efficiency
        count = operation.count
        weights = operation.weights * at.weight_bytes / (WEIGHTS_SHARE * at.bandwidth)
        moved = operation.activations * at.activation_bytes / (ACTIVATIONS_SHARE * at.bandwidth)
        if product:
            computed = 2 * operation.macs / (efficiency[operation.kind] * at.operations)
            found[operation.kind] += count * computed
        found["weights"] += count * weights
        found["activations" if product else "elementwise"] += count * moved
        found["overhead"] += operation.count * _OVERHEAD_S.get(at.kind, _LAUNCH_S)
    for habit in _habits(at):
        for term, factor in _HABITS.get(habit, {}).items():
            found[term] *= factor
    if at.plain:
        for term in PRODUCTS:
            found[term] /= _PLAIN_GAIN
    return found


def _habits(at: Setting) -> tuple[str, ...]:
    on, kind = f"{at.runtime} {at.platform}", f"{at.runtime} {at.kind}"
    demo = f"{on} demo" if at.variant.endswith("demo") else ""
    return (at.runtime, on, f"{on} {at.arithmetic}", demo, kind, f"{kind} {at.arithmetic}", at.kind)


def thread_share(threads: int, cores: int, contention: float = CONTENTION) -> float:
    """The share of the whole device's rate that `threads` of its `cores` reach."""
    used = min(threads, cores)
    return speedup(used, contention) / speedup(cores, contention)


def contention(kind: str, bandwidth: float, cores: int) -> float:
    """How much cores are in each other's way: more so the less bandwidth (bytes/s) each has."""
    if kind == "x86-cpu":
        return _CONTENTION_X86
    each = float(bandwidth / cores)
    return CONTENTION * float(min(1.0, _PI_BANDWIDTH / each) ** _FALL)


def crowding(kind: str, used: int, contention: float) -> float:
    """What share of `used` cores' rates they reach together.

    Efficiencies are those of a PC's single core, on ARM of the four cores of a Pi 4 at once.
    """
    alone = 1.0 if kind == "x86-cpu" else speedup(_ARM_CORES, CONTENTION) / _ARM_CORES
    return speedup(used, contention) / used / alone


def speedup(threads: int, contention: float) -> float:
    """How much more `threads` do than one."""
    return threads / (1 + contention * (threads - 1))
