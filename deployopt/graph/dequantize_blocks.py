"""Weights in blocks back to float: products as they are worked out where no kernel reads bits.

A model is changed in place: MatMulNBits of the bits that are named becomes a plain MatMul with the
same weights, in the type of their scales. Refuses nothing: what carries a bias, an order of its own
or zero points in float stays as it is.
"""

from collections.abc import Container
from typing import Final

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.samples import Array
from deployopt.graph.index import (
    GraphIndex,
    attribute,
    drop_unread_weights,
    initializer,
    replace_nodes,
)
from deployopt.graph.quantize_blocks import Bytes

_KIND: Final = "MatMulNBits"
_ZEROS: Final = 3
"""Which of its inputs the zero points are; what comes after them is left alone."""
_BYTE: Final = 8


def dequantize_blocks(model: onnx.ModelProto, bits: Container[int]) -> tuple[str, ...]:
    """Change in place; the names of the nodes that were."""
    index = GraphIndex(model)
    replacements: dict[str, list[onnx.NodeProto]] = {}
    names = []
    for node in model.graph.node:
        if node.op_type == _KIND and _whole(node, "bits") in bits:
            weight = _weight(index, node)
            if weight is None:
                continue
            stem = f"{node.name}.float"
            index.graph.initializer.append(initializer(stem, weight))
            made = onnx.helper.make_node(
                "MatMul", [node.input[0], stem], [node.output[0]], name=node.name
            )
            replacements[node.output[0]] = [made]
            names.append(node.name)
    replace_nodes(model.graph, replacements)
    drop_unread_weights(model)
    return tuple(names)


def _weight(index: GraphIndex, node: onnx.NodeProto) -> Array | None:
    """`[K, N]`; None where it is not known here."""
    names = [name for name in node.input[1:] if name]
    if len(names) > _ZEROS or not all(name in index.weights for name in names):
        return None
    if any(node.input[_ZEROS + 1 :]):
        return None
    packed, scales, *rest = (onnx.numpy_helper.to_array(index.weights[name]) for name in names)
    if rest and rest[0].dtype != np.uint8:
        return None
    bits, block = _whole(node, "bits"), _whole(node, "block_size")
    rows, columns = _whole(node, "K"), _whole(node, "N")
    blocks = -(-rows // block)
    cells = _unpacked(packed.reshape(columns, blocks, -1), bits)[..., :block].astype(np.float32)
    zeros = np.full((1, 1, 1), 2 ** (bits - 1), np.float32)
    if rest:
        found = _unpacked(rest[0].reshape(columns, -1), bits)[:, :blocks]
        zeros = found.astype(np.float32)[..., None]
    cells -= zeros
    cells *= scales.reshape(columns, blocks, 1).astype(np.float32)
    whole = cells.reshape(columns, blocks * block)[:, :rows].T
    return np.ascontiguousarray(whole.astype(scales.dtype))


def _whole(node: onnx.NodeProto, name: str) -> int:
    """An attribute that is a whole number; 0 where it is not there."""
    value = attribute(node, name, 0)
    return int(value) if isinstance(value, int) else 0


def _unpacked(packed: Bytes, bits: int) -> Bytes:
    """Along the last axis, the lower half of a byte first."""
    if bits == _BYTE:
        return packed
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)
