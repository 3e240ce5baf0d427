"""Which values of a graph are float32, by its types, which have to be known.

In: a graph with `value_info`. Out: names.
"""

import onnx


def float_values(model: onnx.ModelProto) -> set[str]:
    """Names of all float32 values that the top level's nodes read or give, weights left out."""
    touched = {name for node in model.graph.node for name in (*node.input, *node.output)}
    return floats_of(model.graph) & touched


def floats_of(graph: onnx.GraphProto) -> set[str]:
    """Names of the graph's own float32 values, those inside its nodes' graphs left out."""
    return {
        value.name
        for value in (*graph.value_info, *graph.output, *graph.input)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
