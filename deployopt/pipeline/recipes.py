"""Which recipes are tried for a model on a target, with every option of every step filled in.

The target enters here and nowhere later: the opset its runtime reads, and the integer arithmetic of
its instruction set (GATE: 7-bit weights where 8 would saturate, on the target or on the machine
that has to vouch for the accuracy).
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from deployopt.core.artifact import Format
from deployopt.core.errors import UsageError
from deployopt.core.recipe import Recipe, Step
from deployopt.core.source import SourceModel
from deployopt.core.target import Target
from deployopt.steps.export import Export
from deployopt.steps.optimize import Optimize
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic

FLOAT: Final = "float"
INT8: Final = "int8"
_TORCHSCRIPT_OPSET: Final = 17


class Arithmetic(msgspec.Struct, frozen=True, kw_only=True):
    """What the integer units allow: `reduce_range` asks for 7-bit weights, and `reason` says why."""

    reduce_range: bool
    reason: str


def recipes_for(
    source: SourceModel, target: Target, arithmetic: Arithmetic, *, convolutional: bool
) -> tuple[Recipe, ...]:
    """Float first, then what may beat it.

    Raises:
        UsageError: the target's runtime is not one that can be built for yet.
    """
    if target.runtime.provider != "cpu":
        raise UsageError(
            f"Target {target.name} runs on {target.runtime.provider}. Building for GPU runtimes is "
            "not there yet: use `deployopt targets` for the CPU targets that build."
        )
    start = _START[source.artifact.format](target)
    quantize: Step
    if convolutional:
        quantize = QuantizeStatic(reduce_range=arithmetic.reduce_range)
        reason = "static int8 with calibration, the form that pays on convolution nets"
    else:
        quantize = QuantizeDynamic(reduce_range=arithmetic.reduce_range)
        reason = "dynamic int8, the form that pays on transformers"
    return (
        Recipe(name=FLOAT, steps=start, reason="the plain float graph, which int8 has to beat"),
        Recipe(name=INT8, steps=(*start, quantize), reason=f"{reason}; {arithmetic.reason}"),
    )


def _from_transformers(target: Target) -> tuple[Step, ...]:
    opset = min(_TORCHSCRIPT_OPSET, target.runtime.opset_max)
    return (Export(opset=opset), Optimize())


def _from_onnx(target: Target) -> tuple[Step, ...]:
    return (Optimize(),)


_START: Final[Mapping[Format, Callable[[Target], tuple[Step, ...]]]] = {
    Format.TRANSFORMERS: _from_transformers,
    Format.ONNX: _from_onnx,
}
