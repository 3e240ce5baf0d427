"""From a model's own precision down to what fits a card and can be made: each step in words.

In: a target with a card, a model's shape, its requests. Out: a sentence. The arithmetic is that of
`fit`: weights, keys and values of a full context, and the runtime, against the memory that one
process can have, band and all.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.standing import Standing, standing_between
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.fitting.arithmetic import arithmetic
from deployopt.planning.memory import inference_need
from deployopt.planning.usable import usable_bytes

_LADDER: Final = (
    Precision.FP32,
    Precision.BF16,
    Precision.FP16,
    Precision.INT8,
    Precision.INT4,
)
_NATIVE: Final[Mapping[str, Precision]] = {
    "bfloat16": Precision.BF16,
    "float16": Precision.FP16,
}
_WHY_NOT: Final[Mapping[Precision, str]] = {
    Precision.FP32: "not made, as the builder's fp32 graph for CUDA is one that its runtime does "
    "not open",
    Precision.BF16: "not made, as ONNX Runtime has no bf16 products on a CPU to judge it by here",
}
_WORDS: Final[Mapping[Standing, str]] = {
    Standing.INSIDE: "fits",
    Standing.UNSETTLED: "may fit",
    Standing.OUTSIDE: "does not fit",
}


def native_precision(architecture: Architecture) -> Precision:
    """What the model came in."""
    return _NATIVE.get(architecture.dtype or "", Precision.FP32)


def walked(target: Target, architecture: Architecture, context: int) -> str:
    """`it came in fp32; fp32 needs … and fits, but …; fp16 needs … and fits`."""
    native = native_precision(architecture)
    usable = show_quantity(usable_bytes(target), Dimension.SIZE)
    steps = "; ".join(_steps(target, architecture, context))
    return (
        f"it came in {native}; with {context:,} tokens, of the {usable} usable on {target.name}, "
        f"{steps}"
    )


def _steps(target: Target, architecture: Architecture, context: int) -> Iterator[str]:
    """Down to the first that surely fits and is made."""
    native = native_precision(architecture)
    for precision in _LADDER[_LADDER.index(native) :]:
        need = inference_need(
            architecture, target=target, precision=precision, batch=1, context=context
        ).total
        standing = standing_between(need.lower, need.upper, usable_bytes(target))
        note = arithmetic(target, precision).note
        said = f"{precision} needs {_band(need)} and {_WORDS[standing]}"
        if precision in _WHY_NOT:
            yield f"{said}, but is {_WHY_NOT[precision]}"
            continue
        yield said + (f" ({note})" if note else "")
        if standing is Standing.INSIDE:
            return


def _band(need: Estimate) -> str:
    low, high = (show_quantity(end, Dimension.SIZE, 2) for end in (need.lower, need.upper))
    return f"{low} to {high}"
