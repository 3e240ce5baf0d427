"""Lookups in large tables, as embeddings are: rows of s8 with one scale each.

A Gather of a float table becomes two, of integers and of scales, and their product.
"""

from typing import Final

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.graph.index import GraphIndex, attribute, initializer
from deployopt.graph.quantize_weights import quantize_symmetric

MIN_EMBEDDING_WEIGHTS: Final = 2**20


def is_lookup(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Whether the node looks rows up in a large constant table."""
    if node.op_type != "Gather" or attribute(node, "axis", 0) != 0:
        return False
    table = index.float_weight(node.input[0], 2)
    return table is not None and table.size >= MIN_EMBEDDING_WEIGHTS


def quantize_lookup(
    index: GraphIndex, node: onnx.NodeProto, done: dict[str, tuple[str, str]]
) -> list[onnx.NodeProto]:
    """The nodes that take its place; `done` holds the names of tables that were made before."""
    table, rows = node.input[0], node.input[1]
    output = node.output[0]
    if table not in done:
        weight = np.asarray(onnx.numpy_helper.to_array(index.weights[table]), np.float32)
        integers, scale = quantize_symmetric(weight, axis=0)
        names = (f"{table}.s8", f"{table}.rows")
        index.graph.initializer.extend(
            (initializer(names[0], integers), initializer(names[1], scale[:, None]))
        )
        done[table] = names
    integers_name, scales_name = done[table]
    make = onnx.helper.make_node
    # Suffixes of their own: the output may be quantized itself, and then has a scale by that name.
    row, real, row_scale = f"{output}.row", f"{output}.row.f32", f"{output}.row.scale"
    return [
        make("Gather", [integers_name, rows], [row], name=node.name),
        make("Gather", [scales_name, rows], [row_scale], name=f"{node.name}.scale"),
        make("Cast", [row], [real], name=f"{node.name}.cast", to=onnx.TensorProto.FLOAT),
        make("Mul", [real, row_scale], [output], name=f"{node.name}.rescale"),
    ]
