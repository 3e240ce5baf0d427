"""A merged query-key-value product is brought into heads in one move instead of three.

Before: Split by columns, then for each part Reshape to [batch, length, heads, width] and Transpose.
After: one Reshape, one Transpose to [batch, heads, length, width], and a Split by heads, whose
parts lie together in memory. Only numbers move; none changes.
"""

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.graph.index import (
    GraphIndex,
    attribute,
    drop_unread_weights,
    initializer,
    replace_nodes,
)

_FOUR = 4
_BY_HEADS = (0, 2, 1, 3)
_BY_HEADS_TURNED = (0, 2, 3, 1)
_TURNED = (0, 1, 3, 2)

Part = tuple[onnx.NodeProto, onnx.NodeProto, int, int]
"""A part's Reshape and Transpose, its heads and their width."""


def gather_heads(model: onnx.ModelProto) -> int:
    """Change the model in place; how many splits were rewritten."""
    index = GraphIndex(model)
    replacements: dict[str, list[onnx.NodeProto]] = {}
    found = 0
    for split in model.graph.node:
        if split.op_type != "Split" or attribute(split, "axis", 0) != -1:
            continue
        columns = _numbers(index, split.input[-1])
        parts = [_part(index, *pair) for pair in zip(split.output, columns, strict=False)]
        whole = [part for part in parts if part is not None]
        if len(whole) < len(split.output) or len({width for *_, width in whole}) > 1:
            continue
        replacements[split.output[0]] = _rewritten(index, split, whole)
        for reshape, transpose, _, _ in whole:
            replacements[reshape.output[0]] = []
            replacements[transpose.output[0]] = []
        found += 1
    if found:
        replace_nodes(model.graph, replacements)
        drop_unread_weights(model)
    return found


def _numbers(index: GraphIndex, name: str) -> list[int]:
    """A constant vector of integers, or nothing."""
    tensor = index.weights.get(name)
    if tensor is None or tensor.data_type != onnx.TensorProto.INT64:
        return []
    return [int(number) for number in onnx.numpy_helper.to_array(tensor).ravel()]


def _part(index: GraphIndex, name: str, columns: int) -> Part | None:
    """The Reshape and Transpose that alone follow a part of the split, if they make heads of it."""
    reshape = index.only_reader(name)
    if reshape is None or reshape.op_type != "Reshape":
        return None
    transpose = index.only_reader(reshape.output[0])
    if transpose is None or transpose.op_type != "Transpose":
        return None
    perm = attribute(transpose, "perm")
    if not isinstance(perm, list) or tuple(perm) not in (_BY_HEADS, _BY_HEADS_TURNED):
        return None
    sizes = _numbers(index, reshape.input[1])
    # Batch and length have to stay, so that only columns become heads.
    if len(sizes) != _FOUR or sizes[0] != 0 or sizes[1] not in (0, -1) or sizes[3] < 1:
        return None
    heads = columns // sizes[3]
    if heads * sizes[3] != columns or sizes[2] not in (heads, -1):
        return None
    return reshape, transpose, heads, sizes[3]


def _rewritten(index: GraphIndex, split: onnx.NodeProto, parts: list[Part]) -> list[onnx.NodeProto]:
    make = onnx.helper.make_node
    stem = f"{split.input[0]}.heads"
    heads = [count for _, _, count, _ in parts]
    sizes = np.array([0, 0, sum(heads), parts[0][3]], np.int64)
    index.graph.initializer.append(initializer(f"{stem}.sizes", sizes))
    index.graph.initializer.append(initializer(f"{stem}.counts", np.array(heads, np.int64)))
    made = []
    turned = []
    for _, transpose, _, _ in parts:
        output = transpose.output[0]
        if attribute(transpose, "perm") == list(_BY_HEADS_TURNED):
            made.append(f"{output}.straight")
            turned.append(make("Transpose", [made[-1]], [output], transpose.name, perm=_TURNED))
        else:
            made.append(output)
    name = split.name
    return [
        make("Reshape", [split.input[0], f"{stem}.sizes"], [stem], f"{name}.reshape"),
        make("Transpose", [stem], [f"{stem}.first"], f"{name}.heads", perm=_BY_HEADS),
        make("Split", [f"{stem}.first", f"{stem}.counts"], made, name, axis=1),
        *turned,
    ]
