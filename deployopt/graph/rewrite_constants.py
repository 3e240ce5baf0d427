"""Constant nodes become initializers, and Identity nodes of initializers go.

Exporters leave both: tied or equal weights come as Identity of the first one. Other rewritings and
the quantizers then have one kind of weight to look for. Exact. The other way round, an output that
is nothing but a weight can be given by a node, for rewritings that put one of their own before it.
"""

from collections.abc import Mapping

import onnx
import onnx.helper

from deployopt.graph.index import attribute
from deployopt.graph.tensors import nodes_of


def lift_constants(model: onnx.ModelProto) -> int:
    """Change the model in place; how many nodes went."""
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    gone: list[int] = []
    for position, node in enumerate(graph.node):
        if node.output[0] in outputs:
            continue
        source = renamed.get(node.input[0], node.input[0]) if node.input else ""
        if node.op_type == "Constant" and _lift(graph, node):
            weights.add(node.output[0])
            gone.append(position)
        elif node.op_type == "Identity" and source in weights:
            renamed[node.output[0]] = source
            gone.append(position)
    for position in reversed(gone):
        del graph.node[position]
    _rename_inputs(graph, renamed)
    return len(gone)


def give_constant_outputs(model: onnx.ModelProto) -> int:
    """Change the model in place: an output that is a weight comes out of a node; how many were."""
    graph = model.graph
    outputs = {value.name for value in graph.output}
    found = [tensor for tensor in graph.initializer if tensor.name in outputs]
    taken = {name for node in nodes_of(graph) for name in (*node.input, *node.output)}
    taken |= {value.name for value in (*graph.initializer, *graph.input, *graph.output)}
    for tensor in found:
        given, kept = tensor.name, f"{tensor.name}_constant"
        while kept in taken:
            kept += "_"
        taken.add(kept)
        tensor.name = kept
        _rename_inputs(graph, {given: kept})
        graph.node.append(onnx.helper.make_node("Identity", [kept], [given], name=f"{kept}_given"))
    return len(found)


def _rename_inputs(graph: onnx.GraphProto, renamed: Mapping[str, str]) -> None:
    for node in nodes_of(graph):
        for at, name in enumerate(node.input):
            if name in renamed:
                node.input[at] = renamed[name]


def _lift(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    value = attribute(node, "value")
    if not isinstance(value, onnx.TensorProto):
        return False
    tensor = graph.initializer.add()
    tensor.CopyFrom(value)
    tensor.name = node.output[0]
    return True
