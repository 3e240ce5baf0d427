"""Types of a graph's values by ONNX's own inference, whatever the model's size.

A model goes in and has its `value_info` filled in. The inference is handed a serialized model,
which protobuf ends at 2 GB: weights are told to it by their types and sizes, and only small ones,
which may be shapes, with their numbers.
"""

from typing import Final

import onnx
import onnx.helper
import onnx.shape_inference

from deployopt.graph.sizes import elements

_SMALL: Final = 1024


def infer_types(model: onnx.ModelProto) -> None:
    """Fill in what can be found out of the values between the nodes."""
    shell = onnx.ModelProto(ir_version=model.ir_version)
    shell.opset_import.extend(model.opset_import)
    shell.functions.extend(model.functions)
    graph, given = shell.graph, model.graph
    graph.node.extend(given.node)
    graph.input.extend(given.input)
    graph.output.extend(given.output)
    graph.value_info.extend(given.value_info)
    named = {value.name for value in given.input}
    for tensor in given.initializer:
        if elements(tensor) <= _SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in named:
            known = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            graph.input.append(known)
    found = onnx.shape_inference.infer_shapes(shell)
    del given.value_info[:]
    given.value_info.extend(found.graph.value_info)
