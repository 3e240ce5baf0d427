"""Weights go into a graph that was traced without them.

A traced file whose inputs include the weights by name, and the weights, go in; a complete model
comes out, in which they are initializers, already transposed where the graph only read them so,
and in which each multiplication is named after its weight.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnx

from deployopt.core.samples import Array
from deployopt.graph.index import attribute
from deployopt.graph.naming import name_nodes
from deployopt.graph.reading import read_graph
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.writing import save_onnx

_NAMED_AFTER_WEIGHT: Final = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "Gather"})
_TRANSPOSED: Final = ".transposed"


def attach_weights(traced: Path, weights: Mapping[str, Array], destination: Path) -> None:
    """Write `destination`; `traced` is left as it is."""
    model = read_graph(traced)
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    _fold_transposes(model.graph, weights)
    lift_constants(model)
    read = {name for node in model.graph.node for name in node.input}
    arrays = {name: array for name, array in weights.items() if name in read}
    for name, array in weights.items():
        if name + _TRANSPOSED in read:
            arrays[name + _TRANSPOSED] = array.T
    _name_after_weights(model, weights)
    save_onnx(model, destination, beside=arrays)


def _fold_transposes(graph: onnx.GraphProto, weights: Mapping[str, Array]) -> None:
    """Reads of a transposed matrix become reads of one that is stored so."""
    gone: dict[str, str] = {}
    for position, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "Transpose" or node.input[0] not in weights:
            continue
        if np.ndim(weights[node.input[0]]) == 2 and attribute(node, "perm") in (None, [1, 0]):  # noqa: PLR2004 a matrix
            gone[node.output[0]] = node.input[0] + _TRANSPOSED
            del graph.node[position]
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = gone.get(name, name)


def _name_after_weights(model: onnx.ModelProto, weights: Mapping[str, Array]) -> None:
    for node in model.graph.node:
        if node.op_type in _NAMED_AFTER_WEIGHT:
            read = [name.removesuffix(_TRANSPOSED) for name in node.input]
            named = next((name for name in read if name in weights), None)
            if named is not None:
                node.name = named.removeprefix("model.").removesuffix(".weight")
    name_nodes(model)
