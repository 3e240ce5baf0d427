"""A graph as arithmetic sees it: multiply-adds, weights, values read and written. Nothing is run.

A file and the sizes of its free dimensions go in, Facts come out. Nodes whose shapes
cannot be found from the graph alone are left out, and `basis` says how many.
"""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import onnx

from deployopt.core.plan import Facts, Operation
from deployopt.graph.index import GraphIndex
from deployopt.graph.node_work import CONVOLUTIONS, Work, node_work
from deployopt.graph.reading import read_graph
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.shapes import Shapes, known_shapes
from deployopt.graph.sizes import elements, item_bytes, tensor_bytes
from deployopt.graph.tensors import dense_tensors

_FLOAT_BYTES: Final = 4


def facts_from_graph(path: Path, dims: Mapping[str, int]) -> Facts:
    """Count one request whose free dimensions have the sizes `dims`, 1 where it names none.

    Raises:
        RefusedInputError: the file may not be opened.
    """
    model = read_graph(path)
    lift_constants(model)
    index = GraphIndex(model)
    weight_bytes = sum(tensor_bytes(tensor) for tensor in dense_tensors(model))
    sizes = {tensor.name: elements(tensor) for tensor in model.graph.initializer}
    embedded = {
        node.input[0]
        for node in model.graph.node
        if node.op_type == "Gather" and len(index.weights.get(node.input[0], _NONE).dims) > 1
    }
    shapes, types = known_shapes(model, dims)
    operations: Work = Counter()
    filled = _made_by("ConstantOfShape", index, shapes)
    parameters = sum(sizes.values()) + sum(filled.values())
    sizes |= filled | _made_by("DequantizeLinear", index, shapes)
    unknown = 0
    for node in model.graph.node:
        if _is_fused(node, index) or all(name in sizes for name in node.output):
            continue
        counted = node_work(node, shapes, sizes)
        if counted is None:
            unknown += 1
        else:
            operations += counted
    return Facts(
        parameters=parameters,
        embedding_parameters=sum(sizes[name] for name in embedded),
        weight_bytes=weight_bytes,
        operations=tuple(
            Operation(kind=kind, macs=macs, weights=weights, activations=values, count=count)
            for (kind, macs, weights, values), count in operations.items()
        ),
        peak_activation_bytes=_peak_bytes(model.graph, shapes, types, sizes),
        length=dims.get("length"),
        basis=f"counted from the graph of {path.name}" + _left_out(unknown),
    )


def _left_out(nodes: int) -> str:
    said = "1 node" if nodes == 1 else f"{nodes} nodes"
    return f"; {said} of unknown shape or work left out" if nodes else ""


_NONE: Final = onnx.TensorProto()
_FOLDED: Final = frozenset({"BatchNormalization", "Relu", "Clip", "LeakyRelu"})
"""What every runtime takes into the product or the norm that it follows."""


def _is_fused(node: onnx.NodeProto, index: GraphIndex) -> bool:
    """Whether this node costs nothing of its own once a runtime has opened the graph."""
    maker = index.producers.get(node.input[0]) if node.input else None
    if maker is None or node.op_type not in _FOLDED:
        return False
    return maker.op_type in CONVOLUTIONS or maker.op_type in {"Gemm", "BatchNormalization"}


def _made_by(op_type: str, index: GraphIndex, shapes: Shapes) -> dict[str, int]:
    """Weights that the graph makes out of others: dequantized ones, and test graphs' fillings."""
    return {
        name: math.prod(shapes[name])
        for node in index.graph.node
        if node.op_type == op_type and node.input[0] in index.weights
        for name in node.output
        if name in shapes
    }


def _peak_bytes(
    graph: onnx.GraphProto, shapes: Shapes, types: Mapping[str, int], weights: Mapping[str, int]
) -> int:
    """The most bytes of values alive at once, each from its making to its last reading."""
    last = {name: at for at, node in enumerate(graph.node) for name in node.input}
    for value in graph.output:
        last[value.name] = len(graph.node)

    def size(name: str) -> int:
        if name in weights or name not in shapes:
            return 0
        return math.prod(shapes[name]) * (item_bytes(types.get(name, 0)) or _FLOAT_BYTES)

    alive = sum(size(value.name) for value in graph.input)
    peak = alive
    for at, node in enumerate(graph.node):
        alive += sum(size(name) for name in node.output if name)
        peak = max(peak, alive)
        alive -= sum(size(n) for n in {*node.input, *node.output} if n and last.get(n, at) == at)
    return peak
