"""Which precisions to look at on a target, which to advise, and what runs the model.

CPUs: int8 where it is predicted to gain, else fp32. GPUs: half precision, int8 where that does not
fit or is too slow. Models that write text: the highest precision that fits and is fast enough.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.artifact import Precision
from deployopt.core.standing import Standing
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.candidate import RANK, Footing
from deployopt.planning.recommending.setting import on_gpu

GAIN_MIN: Final = 1.05
"""Times as fast as fp32 from which int8, a quarter of the size, is worth its loss of accuracy."""


def precisions_for(target: Target, task: ModelTask) -> tuple[Precision, ...]:
    """The highest first."""
    if not on_gpu(target):
        if task is ModelTask.TEXT_GENERATION:
            return (Precision.INT8, Precision.INT4)
        return (Precision.FP32, Precision.INT8)
    half = half_precision(target, brain=task is ModelTask.TEXT_GENERATION)
    if task is ModelTask.TEXT_GENERATION:
        return (half, Precision.INT8, Precision.INT4)
    return (half, Precision.INT8)


def half_precision(target: Target, *, brain: bool) -> Precision:
    """bf16 or fp16, whichever the GPU computes in and is wanted; fp32 where it has neither."""
    peak = target.hardware.peak
    order = (Precision.BF16, Precision.FP16) if brain else (Precision.FP16, Precision.BF16)
    rates = {Precision.BF16: peak.bf16, Precision.FP16: peak.fp16}
    return next((p for p in order if rates[p] is not None), Precision.FP32)


def advised(footings: Sequence[Footing], *, gains: bool) -> Footing | None:
    """The first that fits and is in time, as surely as any; with `gains`, int8 where it is faster.

    None where none fits.
    """
    fitting = [f for f in footings if f.standing is not Standing.OUTSIDE]
    if not fitting:
        return None
    if gains:
        quick = next((f for f in fitting if f.precision is Precision.INT8), None)
        gain = None if quick is None else gain_of(quick, footings)
        if quick is not None and gain is not None and gain >= GAIN_MIN:
            return quick
    return min(fitting, key=_rank)


def _rank(footing: Footing) -> tuple[int, int]:
    """Fits surely before fits perhaps; then in time; `min` keeps the higher precision of equals."""
    return RANK[footing.standing], RANK[footing.within or Standing.UNSETTLED]


def gain_of(quick: Footing, footings: Sequence[Footing]) -> float | None:
    """How many times as fast as the highest precision that was looked at; None for itself."""
    if quick.precision is footings[0].precision:
        return None
    full = footings[0].predicted.get("latency_s")
    mine = quick.predicted.get("latency_s")
    return full.value / mine.value if full and mine else None


def runtime_for(target: Target, task: ModelTask, precision: Precision) -> str:
    """What opens the model there."""
    if not on_gpu(target):
        generates = task is ModelTask.TEXT_GENERATION
        return "ONNX Runtime GenAI, CPU" if generates else "ONNX Runtime, CPU"
    board = target.hardware.arch == "aarch64"
    if task is ModelTask.TEXT_GENERATION:
        if board or precision is Precision.INT4:
            return "llama.cpp, CUDA" if board else "vLLM (AWQ weights) or llama.cpp, CUDA"
        return "vLLM or TensorRT-LLM"
    if task is ModelTask.TEXT_TO_IMAGE:
        return "TensorRT or diffusers, CUDA"
    if board:
        return "TensorRT"
    return "TensorRT or ONNX Runtime, CUDA"
