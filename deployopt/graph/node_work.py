"""What one node computes: multiply-adds, weights read, values read and written. Nothing is run.

In: a node, the shapes of values, the sizes of weights. Out: pieces of work with how often each is
done one after the other, as steps of a recurrent layer are; None where a shape that it takes to
count is unknown, or where the work is in a graph of the node's own.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

import onnx

from deployopt.graph.index import attribute
from deployopt.graph.shapes import Shapes
from deployopt.graph.tensors import subgraphs

Work = Counter[tuple[str, float, float, float]]
"""How often there is each kind with its multiply-adds, weights and values."""

CONVOLUTIONS: Final = {"Conv": 1, "ConvInteger": 1, "FusedConv": 1, "QLinearConv": 3}
"""Which input is the kernel."""
_MATRIX_PRODUCTS: Final = frozenset(
    {
        "MatMul", "FusedMatMul", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat",
        "QLinearMatMul", "Gemm",
    }
)  # fmt: skip
_RECURRENT: Final = frozenset({"LSTM", "GRU", "RNN"})
_FREE: Final = frozenset(
    {"Constant", "Shape", "Reshape", "Identity", "Unsqueeze", "Squeeze", "Flatten", "Dropout"}
)


def node_work(node: onnx.NodeProto, shapes: Shapes, weights: Mapping[str, int]) -> Work | None:
    """The node's work; empty where it takes none."""
    if node.op_type in _FREE:
        return Counter()
    touched = [name for name in (*node.input, *node.output) if name and name not in weights]
    if any(name not in shapes for name in touched) or any(subgraphs(node)):
        return None
    values = float(sum(math.prod(shapes[name]) for name in touched))
    read = float(sum(weights.get(name, 0) for name in node.input))
    if node.op_type in _RECURRENT:
        return _recurrent(node, shapes, read, values)
    one = (*_product(node, shapes), _read(node, shapes, read), values)
    return Counter([one]) if any(one[1:]) else Counter()


def _product(node: onnx.NodeProto, shapes: Shapes) -> tuple[str, float]:
    """Kind and multiply-adds; none of what is worked out value by value."""
    if node.op_type in CONVOLUTIONS:
        kernel = shapes[node.input[CONVOLUTIONS[node.op_type]]]
        macs = math.prod(shapes[node.output[0]]) * math.prod(kernel[1:])
        return (_convolution_kind(node, kernel), float(macs))
    if node.op_type == "ConvTranspose":
        # Every value that is read goes into as many as the kernel has for its channel.
        macs = math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
        return ("conv", float(macs))
    if node.op_type in _MATRIX_PRODUCTS:
        return ("gemm", _products(node, shapes))
    if node.op_type == "Einsum" and len(node.input) > 1:
        return ("gemm", _einsum(node, shapes))
    return ("elementwise", 0.0)


def _read(node: onnx.NodeProto, shapes: Shapes, weights: float) -> float:
    """A lookup reads the rows it takes, not the table; kernels may be another node's work."""
    if node.op_type in CONVOLUTIONS:
        return weights or float(math.prod(shapes[node.input[CONVOLUTIONS[node.op_type]]]))
    return 0.0 if node.op_type == "Gather" else weights


def _recurrent(node: onnx.NodeProto, shapes: Shapes, read: float, values: float) -> Work:
    """The inputs' products of all steps at once, then a product a step, which waits for the last.

    X is `[steps, batch, inputs]`, W `[directions, gates x hidden, inputs]`, R the same of hidden;
    with the attribute `layout` the batch of X comes first.
    """
    first, second = shapes[node.input[0]][:2]
    steps, batch = (second, first) if attribute(node, "layout", 0) == 1 else (first, second)
    inputs, hidden = (math.prod(shapes[name]) for name in node.input[1:3])
    step = ("gemm", float(batch * hidden), 0.0, values / max(steps, 1))
    found: Work = Counter([("gemm", float(steps * batch * inputs), read, values)])
    found[step] += steps
    return found


def _products(node: onnx.NodeProto, shapes: Shapes) -> float:
    left = shapes[node.input[0]]
    out = math.prod(shapes[node.output[0]])
    if node.op_type == "Gemm" and attribute(node, "transA", 0) == 1:
        return float(out * left[0])
    if node.op_type == "FusedMatMul" and attribute(node, "transA", 0) == 1:
        return float(out * left[-2])
    return float(out * left[-1])


def _einsum(node: onnx.NodeProto, shapes: Shapes) -> float:
    """A multiply-add for every choice of all letters; sizes under an ellipsis count once each."""
    equation = attribute(node, "equation")
    text = equation.decode() if isinstance(equation, bytes) else str(equation)
    sizes: dict[str, int] = {}
    for term, name in zip(text.partition("->")[0].split(","), node.input, strict=False):
        before, dots, behind = term.replace(" ", "").partition("...")
        shape = shapes[name]
        sizes |= dict(zip(before, shape, strict=False))
        if dots:
            end = len(shape) - len(behind)
            sizes |= dict(zip(behind, shape[end:], strict=False))
            covered = math.prod(shape[len(before) : end])
            sizes["..."] = max(sizes.get("...", 1), covered)
    return float(math.prod(sizes.values()))


def _convolution_kind(node: onnx.NodeProto, kernel: tuple[int, ...]) -> str:
    group = attribute(node, "group", 1)
    if isinstance(group, int) and group > 1:
        return "depthwise" if kernel[1] == 1 else "conv"
    window = kernel[2:]
    if all(size == 1 for size in window):
        return "conv1x1"
    strides = attribute(node, "strides")
    plain = strides is None or strides == [1] * len(window)
    return "conv3x3" if plain and window == (3, 3) else "conv"
