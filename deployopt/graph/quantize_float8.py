"""float8 as TensorRT takes it: Q/DQ pairs of type E4M3 before products, for cards that have it.

A float file and requests go in, a file with pairs before every product with constant weights comes
out: activations by one scale, weights by one a channel, biases and all other nodes in float, and so
are products of two activations. E4M3 has three bits of mantissa and ends at 448 (Micikevicius et
al., arXiv 2209.05433), so that a scale is the largest magnitude over 448. ONNX Runtime works such
pairs out on a CPU, in float between two roundings.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import ml_dtypes
import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.graph.index import attribute
from deployopt.graph.opsets import raise_opset
from deployopt.graph.quantize_static import StaticOptions, calibrate_static
from deployopt.graph.quantize_symmetric import products_to_quantize
from deployopt.graph.tensors import nodes_of
from deployopt.graph.writing import save_onnx

LARGEST: Final = 448.0
"""Of E4M3, whose infinities are numbers (`e4m3fn`)."""
_OPSET: Final = 19
"""From here on Q/DQ pairs may be float8."""
_IR: Final = 9
"""Of ONNX, the first that knows the type."""
_LEAST_SCALE: Final = 2.0**-23
"""Smaller ones would not stay what they are in float16."""
_MOST: Final = 65504.0
"""Of float16: what reads larger values is left as it is."""


class _Pair(NamedTuple):
    """Names of what a pair reads beside the value."""

    scale: str
    zero: str


def quantize_float8(
    source: Path,
    destination: Path,
    feeds: Sequence[Feed],
    options: StaticOptions,
    progress: Callable[[float, str], None],
) -> tuple[str, ...]:
    """Write the float8 model; the names of the products that were quantized.

    Of the options `exclude` and `threads` count: ranges are those of the largest magnitudes.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: nothing to quantize or to calibrate with, or a request does not run.
    """
    found = calibrate_static(
        source, destination.with_name("scratch.onnx"), feeds, options, progress
    )
    largest = {
        name: max(abs(seen.lowest), abs(seen.highest)) for name, seen in found.ranges.items()
    }
    names = _fitting(found.model, products_to_quantize(found, options.exclude), largest)
    if not names:
        raise StepError(
            "The graph has no convolution or matrix product with constant weights that float8 "
            "could gain by. The other forms stand."
        )
    save_onnx(place_float8(found.model, names, largest), destination)
    return names


def place_float8(
    source: onnx.ModelProto, names: Sequence[str], largest: Mapping[str, float]
) -> onnx.ModelProto:
    """The graph with pairs before the named products; the source is left as it is.

    `largest` has the largest magnitude of what each of them reads.
    """
    model = onnx.ModelProto()
    model.CopyFrom(source)
    model = raise_opset(model, _OPSET)
    model.ir_version = max(model.ir_version, _IR)
    placing = _Placing(model)
    chosen = frozenset(names)
    for node in list(model.graph.node):
        if node.name in chosen:
            node.input[1] = placing.weights(node)
            node.input[0] = placing.activation(node.input[0], largest[node.input[0]])
        placing.done(node)
    placing.write()
    return model


def _fitting(
    model: onnx.ModelProto, names: Sequence[str], largest: Mapping[str, float]
) -> tuple[str, ...]:
    read = {node.name: node.input[0] for node in model.graph.node}
    return tuple(name for name in names if largest[read[name]] <= _MOST)


class _Placing:
    """Nodes in their order, with pairs before the first that reads them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[str, str] = {}

    def done(self, node: onnx.NodeProto) -> None:
        self._nodes.append(node)

    def weights(self, node: onnx.NodeProto) -> str:
        """The name of the node's weights, rounded to float8 by one scale a channel."""
        axis = _channels_of(node, len(self._constants[node.input[1]].dims))
        key = f"{node.input[1]}_{axis}_float8"
        if key not in self._made:
            values = onnx.numpy_helper.to_array(self._constants[node.input[1]]).astype(np.float32)
            others = tuple(at for at in range(values.ndim) if at != axis)
            scales = scale_of(np.abs(values).max(axis=others, initial=0.0))
            shape = [-1 if at == axis else 1 for at in range(values.ndim)]
            self._keep(_float8(key, values / scales.reshape(shape)))
            pair = self._pair(key, scales)
            self._made[key] = self._after("DequantizeLinear", key, pair, axis=axis)
        return self._made[key]

    def activation(self, name: str, largest: float) -> str:
        """The name of the value behind its pair; products that read the same value share it."""
        key = f"{name}_float8"
        if key not in self._made:
            pair = self._pair(key, scale_of(np.asarray(largest)))
            rounded = self._after("QuantizeLinear", name, pair)
            self._made[key] = self._after("DequantizeLinear", rounded, pair)
        return self._made[key]

    def write(self) -> None:
        """Into the graph; weights that nothing reads in float any more are left out."""
        graph = self._graph
        del graph.node[:]
        graph.node.extend(self._nodes)
        read = {name for node in nodes_of(graph) for name in node.input}
        read |= {value.name for value in graph.output}
        kept = [tensor for tensor in self._constants.values() if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)

    def _after(self, operator: str, name: str, pair: _Pair, axis: int | None = None) -> str:
        given = f"{pair.scale}_{operator}"
        options = {} if axis is None else {"axis": axis}
        self._nodes.append(
            onnx.helper.make_node(operator, [name, *pair], [given], name=given, **options)
        )
        return given

    def _pair(self, key: str, scales: Array) -> _Pair:
        pair = _Pair(scale=f"{key}_scale", zero=f"{key}_zero")
        self._keep(onnx.numpy_helper.from_array(scales, pair.scale))
        self._keep(_float8(pair.zero, np.zeros_like(scales)))
        return pair

    def _keep(self, tensor: onnx.TensorProto) -> None:
        self._constants[tensor.name] = tensor


def scale_of(largest: Array) -> Array:
    """Scales for these largest magnitudes, float32 of the shape given; 1 where all is nought.

    They are numbers of float16, rounded up, so that the graph stays what it is where the rest of
    it becomes float16.
    """
    wanted = np.asarray(largest, np.float64) / LARGEST
    rounded = np.maximum(wanted, _LEAST_SCALE).astype(np.float16)
    short = rounded.astype(np.float64) < wanted
    rounded = np.where(short, np.nextafter(rounded, np.float16(np.inf)), rounded)
    return np.where(wanted > 0, rounded, 1.0).astype(np.float32)


def _channels_of(node: onnx.NodeProto, dimensions: int) -> int:
    """The axis of the outputs in the weights."""
    if node.op_type == "Conv":
        return 0
    if node.op_type == "Gemm" and attribute(node, "transB", 0):
        return 0
    return dimensions - 1


def _float8(name: str, values: Array) -> onnx.TensorProto:
    cut = np.clip(values, -LARGEST, LARGEST).astype(ml_dtypes.float8_e4m3fn)
    return onnx.helper.make_tensor(
        name, onnx.TensorProto.FLOAT8E4M3FN, cut.shape, cut.tobytes(), raw=True
    )
