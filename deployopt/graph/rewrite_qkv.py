"""MatMuls that read the same value become one, with a Split behind it: query, key and value.

Before: MatMul(x, Wq) + bq, MatMul(x, Wk) + bk, MatMul(x, Wv) + bv. After: one MatMul of x with
the weights side by side, one Add, one Split. Every product and sum stays the same; one wide
multiplication reads x once, and when quantized x is quantized once.
"""

from collections.abc import Iterator

import numpy as np
import onnx
import onnx.helper

from deployopt.core.samples import Array
from deployopt.graph.index import GraphIndex, drop_unread_weights, initializer, replace_nodes

_MATRIX = 2
_VECTOR = 1

Branch = tuple[onnx.NodeProto, onnx.NodeProto | None, str]
"""A MatMul, the Add of its bias, and the bias' name."""


def merge_shared_matmuls(model: onnx.ModelProto) -> int:
    """Change the model in place; how many groups were merged."""
    index = GraphIndex(model)
    replacements: dict[str, list[onnx.NodeProto]] = {}
    groups = 0
    for branches in _groups(index):
        nodes = _merged(index, branches)
        last = branches[0][0].output[0]
        replacements[last] = nodes
        for matmul, add, _ in branches:
            replacements.setdefault(matmul.output[0], [])
            if add is not None:
                replacements[add.output[0]] = []
        groups += 1
    if groups:
        replace_nodes(model.graph, replacements)
        drop_unread_weights(model)
    return groups


def _groups(index: GraphIndex) -> Iterator[list[Branch]]:
    """Branches over one input that all have a bias, or all have none."""
    seen: set[str] = set()
    for node in index.graph.node:
        if node.op_type != "MatMul" or node.input[0] in seen:
            continue
        source = node.input[0]
        seen.add(source)
        branches = [_branch(index, n) for n in index.readers[source] if _is_linear(index, n)]
        for with_bias in (True, False):
            group = [b for b in branches if (b[1] is not None) == with_bias]
            if len(group) > 1:
                yield group


def _is_linear(index: GraphIndex, node: onnx.NodeProto) -> bool:
    return (
        node.op_type == "MatMul"
        and node.output[0] in index.producers
        and node.output[0] not in index.outputs
        and index.float_weight(node.input[1], _MATRIX) is not None
    )


def _branch(index: GraphIndex, matmul: onnx.NodeProto) -> Branch:
    found = index.bias_add(matmul.output[0])
    if found is not None:
        add, bias = found
        width = index.weights[matmul.input[1]].dims[1]
        if add.output[0] not in index.outputs and index.weights[bias].dims[0] == width:
            return matmul, add, bias
    return matmul, None, ""


def _merged(index: GraphIndex, branches: list[Branch]) -> list[onnx.NodeProto]:
    first, first_add, _ = branches[0]
    stem = first.output[0] + ".merged"
    weights = [_weight(index, matmul.input[1], _MATRIX) for matmul, _, _ in branches]
    added = [initializer(f"{stem}.weight", np.concatenate(weights, axis=1))]
    product = f"{stem}.product"
    name = first.name or stem
    nodes = [onnx.helper.make_node("MatMul", [first.input[0], added[0].name], [product], name=name)]
    if first_add is not None:
        biases = [_weight(index, bias, _VECTOR) for _, _, bias in branches]
        added.append(initializer(f"{stem}.bias", np.concatenate(biases)))
        total = f"{stem}.sum"
        nodes.append(
            onnx.helper.make_node("Add", [product, added[1].name], [total], name=f"{name}.bias")
        )
        product = total
    widths = np.array([weight.shape[1] for weight in weights], np.int64)
    added.append(initializer(f"{stem}.widths", widths))
    outputs = [(add or matmul).output[0] for matmul, add, _ in branches]
    nodes.append(
        onnx.helper.make_node(
            "Split", [product, added[-1].name], outputs, name=f"{name}.split", axis=-1
        )
    )
    index.graph.initializer.extend(added)
    return nodes


def _weight(index: GraphIndex, name: str, rank: int) -> Array:
    array = index.float_weight(name, rank)
    if array is None:  # pragma: no cover  the branch was chosen for having it
        raise KeyError(name)
    return array
