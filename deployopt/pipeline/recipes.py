"""Which recipes are tried for a model on a target, with every option of every step filled in.

The target enters here and nowhere later: the opset that its runtime reads, and the arithmetic of
its instruction set (7-bit weights where 8 would saturate, on the target or on the machine that has
to vouch for the accuracy).
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.isa import saturates
from deployopt.core.measurement import Machine
from deployopt.core.recipe import Recipe, Step
from deployopt.core.target import Target
from deployopt.pipeline.drawing import export_steps, quantize_steps
from deployopt.pipeline.runtimes import Place, card_steps
from deployopt.steps.export import Export
from deployopt.steps.openvino import ConvertOpenvino, QuantizeOpenvino
from deployopt.steps.optimize import Optimize
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic

FLOAT: Final = "float"
FLOAT16: Final = "float16"
"""Of a language model for a card, the form that the others have to beat."""
INT8: Final = "int8"
OPENVINO: Final = "openvino"
OPENVINO_INT8: Final = "openvino-int8"
FLOATS: Final = frozenset({FLOAT, OPENVINO})
"""Forms that keep the precision of the graph they are made of."""
_TORCHSCRIPT_OPSET: Final = 17


class Arithmetic(msgspec.Struct, frozen=True, kw_only=True):
    """What the integer units allow: `reduce_range` asks for 7-bit weights."""

    reduce_range: bool
    reason: str


def arithmetic_for(target: Target, machine: Machine) -> Arithmetic:
    """8-bit weights where both the target and this machine add them up exactly, else 7."""
    if saturates(target.hardware.arch, target.hardware.isa):
        return Arithmetic(reduce_range=True, reason="7-bit weights: 8 would saturate on the target")
    if saturates(machine.arch, machine.isa):
        return Arithmetic(
            reduce_range=True,
            reason="7-bit weights: 8 would saturate here, where accuracy is judged",
        )
    return Arithmetic(reduce_range=False, reason="8-bit weights, exact on the target and here")


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What is made of a plain float graph: the steps that follow it, none for the graph itself."""

    name: str
    steps: tuple[Step, ...] = ()
    reason: str


def forms_for(
    source: Artifact,
    target: Target,
    arithmetic: Arithmetic,
    *,
    convolutional: bool,
    place: Place | None = None,
) -> tuple[Form, ...]:
    """Float first, then what may beat it on this target, in every runtime that is installed here.

    What is left out for want of a runtime is said by `missing_runtimes`. A `place` is that of a
    GPU target's engines or graphs, which are all that is made for one.
    """
    if place is not None:
        made = card_steps(place, source, convolutional=convolutional)
        return tuple(Form(name=name, steps=steps, reason=why) for name, steps, why in made)
    plain = Form(name=FLOAT, reason="the plain float graph, which int8 has to beat")
    if source.format is Format.DIFFUSERS:
        return (plain, _drawing_int8(arithmetic))
    if source.precision in {Precision.INT8, Precision.MIXED}:
        return (plain,)
    ours = _onnxruntime_int8(arithmetic, convolutional=convolutional)
    return (plain, ours, *_openvino(target, arithmetic, convolutional=convolutional))


def missing_runtimes(target: Target) -> tuple[str, ...]:
    """A sentence where a runtime that the target allows is not installed, or not all of it."""
    if "openvino" not in target.runtime.runtimes:
        return ()
    missing = [name for name in ("openvino", "nncf") if not _installed(name)]
    if not missing:
        return ()
    what = "OpenVINO's forms were" if "openvino" in missing else "OpenVINO's int8 form was"
    sentence = (
        f"{target.name} allows OpenVINO, but {' and '.join(missing)} cannot be imported here, so "
        f"{what} not tried. Install what is missing with: pip install 'deployopt[openvino]'."
    )
    return (sentence,)


def _installed(name: str) -> bool:
    return find_spec(name) is not None


def _openvino(target: Target, arithmetic: Arithmetic, *, convolutional: bool) -> tuple[Form, ...]:
    if "openvino" not in target.runtime.runtimes or not _installed("openvino"):
        return ()
    plain = Form(name=OPENVINO, steps=(ConvertOpenvino(),), reason="the float graph in OpenVINO")
    if not _installed("nncf"):
        return (plain,)
    quantize = QuantizeOpenvino(transformer=not convolutional, reduce_range=arithmetic.reduce_range)
    reason = f"static int8 with calibration, in OpenVINO; {arithmetic.reason}"
    return (plain, Form(name=OPENVINO_INT8, steps=(quantize,), reason=reason))


def _onnxruntime_int8(arithmetic: Arithmetic, *, convolutional: bool) -> Form:
    quantize: Step
    if convolutional:
        quantize = QuantizeStatic(reduce_range=arithmetic.reduce_range)
        reason = "static int8 with calibration, the form that pays on convolution nets"
    else:
        quantize = QuantizeDynamic(reduce_range=arithmetic.reduce_range)
        reason = "dynamic int8, the form that pays on transformers"
    return Form(name=INT8, steps=(quantize,), reason=f"{reason}; {arithmetic.reason}")


def _drawing_int8(arithmetic: Arithmetic) -> Form:
    return Form(
        name=INT8,
        steps=quantize_steps(reduce_range=arithmetic.reduce_range),
        reason="dynamic int8 of the text encoder's and the UNet's matrix products, convolutions in "
        f"float; {arithmetic.reason}",
    )


def recipes_for(source: Artifact, target: Target, forms: Sequence[Form]) -> tuple[Recipe, ...]:
    """The model as it came in every form, under the forms' names."""
    start = float_steps(source.format, target)
    return tuple(
        Recipe(name=form.name, steps=(*start, *form.steps), reason=form.reason) for form in forms
    )


def float_steps(form: Format, target: Target) -> tuple[Step, ...]:
    """From the model as it came to a plain float graph."""
    if form is Format.ONNX:
        return (Optimize(),)
    if form is Format.DIFFUSERS:
        return export_steps(target)
    return (Export(opset=min(_TORCHSCRIPT_OPSET, target.runtime.opset_max)), Optimize())
