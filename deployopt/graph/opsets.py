"""An old graph is brought to the operator version that quantizing needs."""

from typing import Final

import onnx
import onnx.version_converter

from deployopt.core.errors import StepError
from deployopt.graph.reading import opset_of

_IR_WITH_FREE_INITIALIZERS: Final = 4
_IR_OF_OPSET_13: Final = 7


def raise_opset(model: onnx.ModelProto, least: int) -> onnx.ModelProto:
    """The model at `least` or, where it is newer, as it is; initializers are no longer inputs.

    Raises:
        StepError: an operator of the graph has no newer form.
    """
    if opset_of(model) < least:
        try:
            model = onnx.version_converter.convert_version(model, least)
        except (RuntimeError, ValueError) as error:
            raise StepError(
                f"The graph is of opset {opset_of(model)} and cannot be brought to {least}: "
                f"{str(error).strip()[:200]}. Export it again at opset {least} or later."
            ) from error
    if model.ir_version < _IR_WITH_FREE_INITIALIZERS:
        model.ir_version = _IR_OF_OPSET_13
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) < len(model.graph.input):
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    return model
