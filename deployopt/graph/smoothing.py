"""Outliers of a layer norm's channels move into the weights behind it, exactly.

A float file and requests go in; a float file that says the same comes out. Where a
LayerNormalization, as one node or as its parts, feeds products with constant weights W, the values
X of each channel j are divided by s_j = max|X_j|**alpha / max|W_j|**(1 - alpha) and row j of W is
multiplied by it (Xiao et al., SmoothQuant, ICML 2023): one scale for all of X then loses less. If
nothing else reads X the division goes into the norm's own scale and shift, else it is one Mul.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.graph.calibrating import Observing, watch_values
from deployopt.graph.index import (
    GraphIndex,
    attribute,
    drop_unread_weights,
    initializer,
    replace_nodes,
)
from deployopt.graph.reading import load_onnx
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.running import largest_difference, run_graph
from deployopt.graph.writing import save_onnx

TOLERANCE: Final = 1e-5
CHECKED: Final = 4
_LEAST: Final = 1e-4
"""Channels that are all but silent keep a scale of at least this share of the median one."""
Scales = npt.NDArray[np.float32]


class Smoothed(msgspec.Struct, frozen=True, kw_only=True):
    """How many norms were smoothed, into themselves or by a product of their own."""

    folded: int
    multiplied: int
    difference: float


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A norm's output, the products that read it, and the norm's scale and shift if it can fold."""

    value: str
    products: tuple[onnx.NodeProto, ...]
    scale: tuple[onnx.NodeProto, int] | None = None
    shift: tuple[onnx.NodeProto, int] | None = None


def smooth_graph(
    source: Path, destination: Path, feeds: Sequence[Feed], *, alpha: float, threads: int
) -> Smoothed:
    """Smooth `source` into `destination` and compare the two.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: there is no such place, a request does not run, or the answers differ.
    """
    model = load_onnx(source, trusted=True)
    lift_constants(model)
    places = smooth_places(GraphIndex(model))
    if not places:
        raise StepError(
            "The graph has no layer norm whose result is multiplied with constant weights, so "
            "there is nothing to smooth. Leave the step out."
        )
    reaches = _reaches(model, places, feeds, destination.with_name("scratch.onnx"), threads)
    folded = smooth(model, places, reaches, alpha)
    save_onnx(model, destination)
    difference = largest_difference(
        *(run_graph(path, feeds[:CHECKED], threads) for path in (source, destination))
    )
    if difference > TOLERANCE:
        raise StepError(
            f"The smoothed graph differs from {source} by {difference:.2g} of its outputs' scale, "
            f"where {TOLERANCE:.0e} is allowed. Use an alpha nearer 0.5, or leave the step out."
        )
    return Smoothed(folded=folded, multiplied=len(places) - folded, difference=difference)


def smooth_places(index: GraphIndex) -> list[Place]:
    """Where norms feed products, in the graph's order."""
    found = []
    for node in index.graph.node:
        norm = _norm(index, node)
        if norm is None:
            continue
        value = node.output[0]
        readers = index.readers.get(value, [])
        products = tuple(reader for reader in readers if _weight_axis(index, reader, value) >= 0)
        if products:
            alone = len(products) == len(readers) and value not in index.outputs
            scale, shift = norm if alone else (None, None)
            found.append(Place(value=value, products=products, scale=scale, shift=shift))
    return found


def smooth(
    model: onnx.ModelProto, places: Sequence[Place], reaches: Mapping[str, Scales], alpha: float
) -> int:
    """Change the model in place; how many places were folded into their norms."""
    index = GraphIndex(model)
    added: dict[str, list[onnx.NodeProto]] = {}
    folded = 0
    for place in places:
        scales = _scales(index, place, reaches[place.value], alpha)
        for node in place.products:
            _scale_rows(index, node, scales)
        if place.scale is None:
            name = f"{place.value}.smooth"
            model.graph.initializer.append(initializer(f"{name}.inverse", 1 / scales))
            multiply = onnx.helper.make_node(
                "Mul", [place.value, f"{name}.inverse"], [name], name=name
            )
            maker = index.producers[place.value]
            added[maker.output[0]] = [maker, multiply]
            for node in place.products:
                node.input[0] = name
            continue
        folded += 1
        for part in (place.scale, place.shift):
            if part is not None:
                _divide(index, part, scales)
    replace_nodes(model.graph, added)
    drop_unread_weights(model)
    return folded


Part = tuple[onnx.NodeProto, int]


def _norm(index: GraphIndex, node: onnx.NodeProto) -> tuple[Part, Part | None] | None:
    """Where the scale and the shift of a norm that ends in this node are read."""
    if node.op_type == "LayerNormalization":
        last = attribute(node, "axis", -1) == -1
        if not last or index.float_weight(node.input[1], 1) is None:
            return None
        return (node, 1), (node, 2) if len(node.input) > 2 and node.input[2] else None  # noqa: PLR2004 x, scale, shift
    shift = _constant_at(index, node, "Add")
    multiply = index.producers.get(node.input[1 - shift]) if shift >= 0 else None
    scale = _constant_at(index, multiply, "Mul")
    if multiply is None or scale < 0 or index.only_reader(multiply.output[0]) is None:
        return None
    divide = index.producers.get(multiply.input[1 - scale])
    root = None
    if divide is not None and divide.op_type == "Div":
        root = index.producers.get(divide.input[1])
    rooted = root is not None and root.op_type == "Sqrt"
    return ((multiply, scale), (node, shift)) if rooted else None


def _constant_at(index: GraphIndex, node: onnx.NodeProto | None, operator: str) -> int:
    """Which input of such a node is a constant vector, -1 for none."""
    if node is None or node.op_type != operator:
        return -1
    return next((at for at in (0, 1) if index.float_weight(node.input[at], 1) is not None), -1)


def _weight_axis(index: GraphIndex, node: onnx.NodeProto, value: str) -> int:
    """The axis of the node's weights that is summed over, -1 if it is no product of `value`."""
    if node.op_type not in {"MatMul", "Gemm"} or node.input[0] != value:
        return -1
    weight = index.float_weight(node.input[1], 2)
    if weight is None or attribute(node, "transA", 0) != 0:
        return -1
    return 1 if attribute(node, "transB", 0) == 1 else 0


def _reaches(
    model: onnx.ModelProto,
    places: Sequence[Place],
    feeds: Sequence[Feed],
    scratch: Path,
    threads: int,
) -> dict[str, Scales]:
    """The greatest absolute value of each channel of each place's value."""
    reaches: dict[str, Scales] = {}

    def take(name: str, values: Array) -> None:
        reach = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
        if not np.isfinite(reach).all():
            raise ValueError("not finite")
        reaches[name] = np.maximum(reaches.get(name, np.float32(0)), reach)

    how = Observing(scratch=scratch, threads=threads, seen=lambda _: None)
    watch_values(model, [place.value for place in places], feeds, how, take)
    return reaches


def _scales(index: GraphIndex, place: Place, reach: Scales, alpha: float) -> Scales:
    """What each channel is divided by; 1 where a channel or its weights are silent."""
    largest = np.zeros_like(reach)
    for node in place.products:
        axis = _weight_axis(index, node, place.value)
        weight = _float(index, node.input[1])
        largest = np.maximum(largest, np.abs(weight).max(axis=1 - axis))
    heard = (reach > 0) & (largest > 0)
    scales = np.ones_like(reach)
    scales[heard] = reach[heard] ** alpha / largest[heard] ** (1 - alpha)
    if heard.any():
        scales[heard] = np.maximum(scales[heard], _LEAST * np.median(scales[heard]))
    return scales.astype(np.float32)


def _scale_rows(index: GraphIndex, node: onnx.NodeProto, scales: Scales) -> None:
    weight = _float(index, node.input[1])
    transposed = attribute(node, "transB", 0) == 1
    name = f"{node.output[0]}.smooth.weight"
    scaled = weight * (scales[None, :] if transposed else scales[:, None])
    index.graph.initializer.append(initializer(name, scaled))
    node.input[1] = name


def _divide(index: GraphIndex, part: Part, scales: Scales) -> None:
    node, at = part
    name = f"{node.input[at]}.{node.output[0]}.smooth"
    divided = _float(index, node.input[at]) / scales
    index.graph.initializer.append(initializer(name, divided))
    node.input[at] = name


def _float(index: GraphIndex, name: str) -> Scales:
    return np.asarray(onnx.numpy_helper.to_array(index.weights[name]), np.float32)
