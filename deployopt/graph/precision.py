"""The precision found in a graph: the types of the weights that are multiplied with.

A graph goes in; a Precision comes out, whatever was asked for when it was made.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import onnx

from deployopt.core.artifact import Precision
from deployopt.graph.index import GraphIndex, attribute
from deployopt.graph.reading import read_graph
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.sizes import elements
from deployopt.graph.tensors import dense_tensors, nodes_of

NEARLY_ALL: Final = 0.95
"""A head of a few thousand weights left in float does not make an int8 model mixed."""

_MULTIPLIERS: Final = frozenset(
    {
        "MatMul", "Gemm", "Conv", "ConvTranspose", "MatMulInteger", "ConvInteger", "QLinearMatMul",
        "QLinearConv", "QGemm", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "FusedMatMul",
        "FusedConv", "FusedGemm", "Einsum", "LSTM", "GRU", "RNN", "DynamicQuantizeLSTM",
    }
)  # fmt: skip
_PASSED_THROUGH: Final = frozenset({"DequantizeLinear", "Transpose", "Reshape", "Identity"})
_PRECISIONS: Final = {
    onnx.TensorProto.FLOAT: Precision.FP32,
    onnx.TensorProto.FLOAT16: Precision.FP16,
    onnx.TensorProto.BFLOAT16: Precision.BF16,
    onnx.TensorProto.FLOAT8E4M3FN: Precision.FP8,
    onnx.TensorProto.INT8: Precision.INT8,
    onnx.TensorProto.UINT8: Precision.INT8,
}
_FLOATS: Final = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
)
_BLOCK_BITS: Final = defaultdict(lambda: Precision.MIXED, {4: Precision.INT4, 8: Precision.INT8})
"""Of MatMulNBits, whose weights lie packed in bytes."""


def precision_found(path: Path) -> Precision:
    """The precision of the file's weights; where it multiplies with none, of its other floats."""
    model = read_graph(path)
    lift_constants(model)
    return precision_of(model)


def precision_of_all(paths: Iterable[Path]) -> Precision:
    """The same of several files that make up one model."""
    shares: Counter[Precision] = Counter()
    for path in paths:
        model = read_graph(path)
        lift_constants(model)
        shares += weight_shares(model)
    return _most(shares)


def precision_of(model: onnx.ModelProto) -> Precision:
    """The same of a model in memory whose constants are initializers."""
    return _most(weight_shares(model) or _float_shares(model))


def _float_shares(model: onnx.ModelProto) -> Counter[Precision]:
    """All floats of the file, if it multiplies nothing; weights behind a cast are not told of."""
    counts: Counter[Precision] = Counter()
    if any(node.op_type in _MULTIPLIERS for node in nodes_of(model.graph)):
        return counts
    for tensor in dense_tensors(model):
        if tensor.data_type in _FLOATS:
            counts[_PRECISIONS[tensor.data_type]] += elements(tensor)
    return counts


def _most(shares: Counter[Precision]) -> Precision:
    total = sum(shares.values())
    if not total:
        return Precision.FP32
    most, count = shares.most_common(1)[0]
    return most if count >= NEARLY_ALL * total else Precision.MIXED


def weight_shares(model: onnx.ModelProto) -> Counter[Precision]:
    """Weights that are multiplied with, counted by precision; other types are left out."""
    index = GraphIndex(model)
    counts: Counter[Precision] = Counter()
    seen: set[str] = set()
    for node in nodes_of(model.graph):
        if node.op_type == "MatMulNBits":
            counts[_BLOCK_BITS[_whole(node, "bits")]] += _whole(node, "K") * _whole(node, "N")
            continue
        if node.op_type not in _MULTIPLIERS:
            continue
        for name in node.input:
            tensor = _weight_behind(index, name)
            if tensor is None or tensor.name in seen or len(tensor.dims) < 2:  # noqa: PLR2004
                continue
            seen.add(tensor.name)
            if tensor.data_type in _PRECISIONS:
                counts[_PRECISIONS[tensor.data_type]] += elements(tensor)
    return counts


def _whole(node: onnx.NodeProto, name: str) -> int:
    """An attribute that is a whole number; 0 where it is not there."""
    value = attribute(node, name, 0)
    return value if isinstance(value, int) else 0


def _weight_behind(index: GraphIndex, name: str) -> onnx.TensorProto | None:
    """The initializer that `name` is, or is a dequantized or reshaped form of."""
    while name not in index.weights:
        node = index.producers.get(name)
        if node is None or node.op_type not in _PASSED_THROUGH:
            return None
        name = node.input[0]
    return index.weights[name]
