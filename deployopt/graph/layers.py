"""The layers of a float graph that a quantizer changes, and the graph with one of them quantized.

A file and a quantizer's options go in. A layer is named as `exclude` takes it. Dynamically it is a
multiplication or a lookup; statically also a sum or a pooling, each with the Relu or Clip behind
it, which is fused into it. What only passes values on is no layer: it is as its neighbours are.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
import onnx

from deployopt.core.errors import StepError
from deployopt.graph.index import GraphIndex
from deployopt.graph.naming import name_nodes
from deployopt.graph.quantize_dynamic import DynamicOptions, quantizable, quantize_dynamic
from deployopt.graph.quantize_static import (
    Calibrated,
    StaticOptions,
    bounds_of,
    calibrated_nodes,
    insert_pairs,
    place_pairs,
)
from deployopt.graph.quantize_symmetric import PAIRS, products_to_quantize
from deployopt.graph.reading import load_onnx
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.sizes import elements
from deployopt.graph.tensors import read_by

_FUSED: Final = frozenset({"Relu", "Clip"})
_PASSED_ON: Final = frozenset({"Flatten", "MaxPool", "Reshape", "Resize", "Transpose"})


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One node, where it stands in the graph, and the nodes that are quantized with it."""

    name: str
    operator: str
    weights: int
    place: int
    nodes: tuple[str, ...]
    read: tuple[str, ...]
    """The weights that have to be at hand when it is quantized."""


class Quantizer(Protocol):
    """A float graph and a way to quantize one layer of it, or of its tail."""

    model: onnx.ModelProto
    layers: tuple[Layer, ...]

    def alone(self, tail: onnx.ModelProto, layer: Layer) -> onnx.ModelProto:
        """The tail with this layer quantized; the tail may be changed."""
        ...


class DynamicLayers:
    """As quantize_dynamic changes them.

    Raises:
        RefusedInputError: the source may not be opened.
    """

    def __init__(self, source: Path, options: DynamicOptions) -> None:
        self.model = load_onnx(source, trusted=True)
        lift_constants(self.model)
        name_nodes(self.model)
        self._options = options
        names = set(quantizable(self.model, options))
        self.layers = _layers(self.model, [n for n in self.model.graph.node if n.name in names])

    def alone(self, tail: onnx.ModelProto, layer: Layer) -> onnx.ModelProto:
        """The tail with this layer quantized."""
        quantize_dynamic(tail, self._options, only=layer.nodes)
        return tail


class StaticLayers:
    """As quantize_static changes them, placed from one run of the requests."""

    def __init__(self, found: Calibrated, options: StaticOptions) -> None:
        self.model = found.model
        self._options = options
        self._bounds = bounds_of(found, options)
        chosen = [n for n in calibrated_nodes(found, options) if n.op_type not in _PASSED_ON]
        self.layers = _layers(self.model, chosen)

    def alone(self, tail: onnx.ModelProto, layer: Layer) -> onnx.ModelProto:
        """The tail with this layer quantized."""

        def place(model: onnx.ModelProto) -> onnx.ModelProto:
            return place_pairs(model, layer.nodes, self._bounds, self._options)

        return _beside_weights(tail, place)


class SymmetricLayers:
    """As quantize_symmetric changes them: products alone, placed from one run of the requests."""

    def __init__(self, found: Calibrated, options: StaticOptions) -> None:
        self.model = found.model
        self._bounds = bounds_of(found, options)
        names = set(products_to_quantize(found, options.exclude))
        self.layers = _layers(self.model, [n for n in self.model.graph.node if n.name in names])

    def alone(self, tail: onnx.ModelProto, layer: Layer) -> onnx.ModelProto:
        """The tail with this layer quantized."""

        def place(model: onnx.ModelProto) -> onnx.ModelProto:
            return insert_pairs(model, layer.nodes, self._bounds, PAIRS)

        return _beside_weights(tail, place)


def _beside_weights(
    tail: onnx.ModelProto, place: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> onnx.ModelProto:
    """What `place` makes of a tail whose weights lie beside it."""
    graph = tail.graph
    known = {part.name for part in (*graph.input, *graph.initializer)}
    known |= {name for node in graph.node for name in node.output}
    read = {name for node in graph.node for name in read_by(node)}
    # Weights that lie beside the tail pass for inputs while nodes are put in their order.
    beside = [onnx.ValueInfoProto(name=name) for name in sorted(read - known - {""})]
    graph.input.extend(beside)
    placed = place(tail)
    del placed.graph.input[len(placed.graph.input) - len(beside) :]
    return placed


def _layers(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> tuple[Layer, ...]:
    index = GraphIndex(model)
    places = {node.name: place for place, node in enumerate(model.graph.node)}
    taken: set[str] = set()
    found = []
    for node in nodes:
        if node.name in taken:
            continue
        group = [node]
        follower = index.only_reader(node.output[0])
        if follower is not None and follower.op_type in _FUSED:
            group += [other for other in nodes if other.name == follower.name]
        taken.update(one.name for one in group)
        own = [name for name in node.input if name in index.weights]
        found.append(
            Layer(
                name=node.name,
                operator=node.op_type,
                weights=sum(elements(index.weights[name]) for name in own),
                place=places[node.name],
                nodes=tuple(one.name for one in group),
                read=tuple(name for one in group for name in one.input if name in index.weights),
            )
        )
    return tuple(found)


def need_layers(layers: Sequence[Layer]) -> None:
    """Raise StepError where there is nothing to rank."""
    if not layers:
        raise StepError("The graph has no layer that this step would quantize.")
