"""Dynamic int8: s8 weights in the file, u8 activations quantized as they come (U8S8).

A float model goes in and is changed in place: MatMul and Gemm with constant weights become
DynamicQuantizeLinear, MatMulInteger, Cast and Mul, in the order that ONNX Runtime fuses into one
kernel; the bias stays the Add behind them, which it fuses too. Values read by several
multiplications are quantized once. Large embedding tables become s8 with one scale a row. Refuses
nothing: what does not fit the pattern stays float.
"""

from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Final

import msgspec
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
from deployopt.graph.naming import name_nodes
from deployopt.graph.quantize_lookups import is_lookup, quantize_lookup
from deployopt.graph.quantize_weights import Floats, quantize_symmetric

MIN_WEIGHTS: Final = 16_384
"""Below this a multiplication gains nothing: classification heads stay float."""


class DynamicOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As the step of the same name."""

    per_channel: bool = False
    reduce_range: bool = False
    embeddings: bool = True
    exclude: tuple[str, ...] = ()


class _Rewrite:
    """What one run over a graph has made so far."""

    def __init__(self, model: onnx.ModelProto, options: DynamicOptions) -> None:
        self.index = GraphIndex(model)
        self.options = options
        self.quantized_inputs: dict[str, str] = {}
        self.scales: set[str] = set()
        self.done_weights: dict[str, tuple[str, str, str]] = {}
        self.done_tables: dict[str, tuple[str, str]] = {}


def quantize_dynamic(
    model: onnx.ModelProto, options: DynamicOptions, only: Collection[str] | None = None
) -> tuple[str, ...]:
    """Quantize in place, all that can be or `only` some by name; the names of those that were."""
    # New nodes are named after old ones, and a foreign graph may leave its own without names.
    name_nodes(model)
    rewrite = _Rewrite(model, options)
    replacements: dict[str, list[onnx.NodeProto]] = {}
    names = []
    for node in list(model.graph.node):
        if only is not None and node.name not in only:
            continue
        if not _excluded(node, options) and is_quantizable(rewrite.index, node, options):
            replacements[node.output[0]] = _MAKERS[node.op_type](rewrite, node)
            names.append(node.name)
    replace_nodes(model.graph, replacements)
    drop_unread_weights(model)
    # Recorded types and shapes of values that are gone would contradict the new graph.
    del model.graph.value_info[:]
    return tuple(names)


def quantizable(model: onnx.ModelProto, options: DynamicOptions) -> tuple[str, ...]:
    """The names of the nodes that quantize_dynamic would change, in the graph's order."""
    index = GraphIndex(model)
    return tuple(
        node.name
        for node in model.graph.node
        if not _excluded(node, options) and is_quantizable(index, node, options)
    )


def is_quantizable(index: GraphIndex, node: onnx.NodeProto, options: DynamicOptions) -> bool:
    """Whether the node multiplies by a large constant matrix, or looks up in one."""
    if is_product(index, node):
        return True
    return options.embeddings and is_lookup(index, node)


def is_product(index: GraphIndex, node: onnx.NodeProto) -> bool:
    """Whether the node multiplies by a large constant matrix."""
    if node.op_type == "MatMul":
        return _large(index, node.input[1], MIN_WEIGHTS)
    if node.op_type == "Gemm":
        plain = attribute(node, "transA", 0) == 0 and attribute(node, "alpha", 1.0) == 1.0
        bias = len(node.input) < 3 or attribute(node, "beta", 1.0) == 1.0  # noqa: PLR2004 A, B, C
        return plain and bias and _large(index, node.input[1], MIN_WEIGHTS)
    return False


def _excluded(node: onnx.NodeProto, options: DynamicOptions) -> bool:
    return any(fnmatchcase(node.name, pattern) for pattern in options.exclude)


def _large(index: GraphIndex, name: str, least: int) -> bool:
    weight = index.float_weight(name, 2)
    return weight is not None and weight.size >= least


def _matmul(rewrite: _Rewrite, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    return _product(rewrite, node, node.output[0], transpose=False)


def _gemm(rewrite: _Rewrite, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    transpose = attribute(node, "transB", 0) == 1
    if len(node.input) < 3 or not node.input[2]:  # noqa: PLR2004 A, B, C
        return _product(rewrite, node, node.output[0], transpose=transpose)
    product = f"{node.output[0]}.product"
    add = onnx.helper.make_node(
        "Add", [product, node.input[2]], [node.output[0]], name=f"{node.name}.bias"
    )
    return [*_product(rewrite, node, product, transpose=transpose), add]


def _product(
    rewrite: _Rewrite, node: onnx.NodeProto, output: str, *, transpose: bool
) -> list[onnx.NodeProto]:
    weight, weight_scale, weight_zero = _integer_weight(rewrite, node.input[1], transpose=transpose)
    nodes = []
    source = node.input[0]
    if source not in rewrite.quantized_inputs:
        # What one product gives and another takes has a scale by that name already.
        taken = f"{source}.scale" in rewrite.scales
        stem = rewrite.quantized_inputs[source] = f"{source}.again" if taken else source
        nodes.append(
            onnx.helper.make_node(
                "DynamicQuantizeLinear",
                [source],
                [f"{stem}.u8", f"{stem}.scale", f"{stem}.zero"],
                name=f"{node.name}.quantize",
            )
        )
    stem = rewrite.quantized_inputs[source]
    u8, scale, zero = f"{stem}.u8", f"{stem}.scale", f"{stem}.zero"
    make = onnx.helper.make_node
    integer, real, both = f"{output}.s32", f"{output}.f32", f"{output}.scale"
    rewrite.scales.add(both)
    nodes += [
        make("MatMulInteger", [u8, weight, zero, weight_zero], [integer], name=node.name),
        make("Cast", [integer], [real], name=f"{node.name}.cast", to=onnx.TensorProto.FLOAT),
        make("Mul", [scale, weight_scale], [both], name=f"{node.name}.scales"),
        make("Mul", [real, both], [output], name=f"{node.name}.rescale"),
    ]
    return nodes


def _integer_weight(rewrite: _Rewrite, name: str, *, transpose: bool) -> tuple[str, str, str]:
    """Names of the integers, their scale and zero point; made once for each weight."""
    stem = f"{name}.s8t" if transpose else f"{name}.s8"
    if stem not in rewrite.done_weights:
        weight = _weight(rewrite, name)
        integers, scale = quantize_symmetric(
            weight.T if transpose else weight,
            axis=1 if rewrite.options.per_channel else None,
            reduce_range=rewrite.options.reduce_range,
        )
        names = (stem, f"{stem}.scale", f"{stem}.zero")
        arrays: tuple[Array, ...] = (integers, scale, np.zeros(scale.shape, np.int8))
        for part, array in zip(names, arrays, strict=True):
            rewrite.index.graph.initializer.append(initializer(part, array))
        rewrite.done_weights[stem] = names
    return rewrite.done_weights[stem]


def _gather(rewrite: _Rewrite, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    return quantize_lookup(rewrite.index, node, rewrite.done_tables)


def _weight(rewrite: _Rewrite, name: str) -> Floats:
    return np.asarray(onnx.numpy_helper.to_array(rewrite.index.weights[name]), np.float32)


_MAKERS: Final[Mapping[str, Callable[[_Rewrite, onnx.NodeProto], list[onnx.NodeProto]]]] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Gather": _gather,
}
