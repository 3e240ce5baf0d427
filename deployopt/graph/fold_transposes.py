"""Transposes of constant matrices become matrices: a lookup in one is then a lookup in a table.

A decoder whose head and embedding share their weights looks words up in the transposed head. The
runtime folds that too, each time it opens the file. Exact.
"""

import numpy as np
import onnx
import onnx.numpy_helper

from deployopt.graph.index import GraphIndex, attribute, initializer

_MATRIX = 2


def fold_transposes(model: onnx.ModelProto) -> int:
    """Change the model in place; how many nodes went."""
    index = GraphIndex(model)
    gone: list[int] = []
    for position, node in enumerate(model.graph.node):
        if not _folds(index, node):
            continue
        weight = onnx.numpy_helper.to_array(index.weights[node.input[0]])
        model.graph.initializer.append(initializer(node.output[0], np.ascontiguousarray(weight.T)))
        gone.append(position)
    for position in reversed(gone):
        del model.graph.node[position]
    return len(gone)


def _folds(index: GraphIndex, node: onnx.NodeProto) -> bool:
    if node.op_type != "Transpose" or node.output[0] in index.outputs:
        return False
    turned = list(attribute(node, "perm", None) or (1, 0)) == [1, 0]  # type: ignore[call-overload]
    return turned and index.float_weight(node.input[0], _MATRIX) is not None
