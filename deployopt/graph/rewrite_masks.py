"""What attention adds for padding is worked out from the mask in three nodes.

Exporters write the mask of [batch, tokens] as fifty small nodes that build [batch, 1, tokens,
tokens]: ranges, comparisons, lookups and an Expand, for every request anew. Where such a part of
the graph reads one input and sizes only, it is run by itself for several sizes and masks; if each
of its rows is the mask, 0 where there is a token and one same number where there is none, then it
becomes Cast, Reshape and Where. One that says anything else is left as it is.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import onnx
import onnx.helper
import onnxruntime

from deployopt.core.samples import Array
from deployopt.graph.free_sizes import sizes_of
from deployopt.graph.index import GraphIndex, drop_unread_weights, initializer
from deployopt.graph.rewrite_reshapes import drop_dead_nodes
from deployopt.graph.running import RUN_ERRORS
from deployopt.graph.shapes import Known, sweep

_SIZES: Final = ((1, 1), (1, 7), (3, 5), (2, 12))
_MASKS: Final = 6
_LEAST_NODES: Final = 6
_MOST_NODES: Final = 200
_RANKS: Final = (2, 4)
_SMALL: Final = frozenset(
    {"Add", "And", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand"}
    | {"Flatten", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max"}
    | {"Min", "Mul", "Neg", "Not", "Or", "Range", "Reshape", "ScatterND", "Slice", "Squeeze"}
    | {"Sub", "Tile", "Transpose", "Unsqueeze", "Where"}
)
"""Operators of which such a part is made; none of them is expensive to try."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one added value: nodes in the graph's order, and what they read from outside."""

    made: str
    nodes: tuple[onnx.NodeProto, ...]
    weights: tuple[onnx.TensorProto, ...]
    mask: onnx.ValueInfoProto
    shapes: tuple[str, ...]


def shorten_masks(model: onnx.ModelProto) -> int:
    """Change the model in place; how many added masks are worked out the short way."""
    index = GraphIndex(model)
    parts = [part for name in _added(index) if (part := _part(model, index, name)) is not None]
    shortened = 0
    for part in parts:
        padding = _padding(model, index, part)
        if padding is not None:
            _shorten(model, index, part, padding)
            shortened += 1
    if shortened:
        drop_dead_nodes(model)
        drop_unread_weights(model)
    return shortened


def _added(index: GraphIndex) -> list[str]:
    """What is added right before a Softmax, and to nothing else."""
    found: dict[str, None] = {}
    for node in index.graph.node:
        behind = [reader.op_type for reader in index.readers.get(node.output[0], [])]
        if node.op_type == "Add" and behind == ["Softmax"]:
            found |= dict.fromkeys(name for name in node.input if name in index.producers)
    return [
        name
        for name in found
        if name not in index.outputs and {r.op_type for r in index.readers[name]} == {"Add"}
    ]


def _part(model: onnx.ModelProto, index: GraphIndex, made: str) -> _Part | None:
    """Its nodes up to weights, sizes and one input; None where anything else stands behind it."""
    inputs = {value.name: value for value in model.graph.input if value.name not in index.weights}
    needed, names, shapes, masks = [made], set[str](), dict[str, None](), set[str]()
    while needed and len(names) <= _MOST_NODES:
        name = needed.pop()
        node = index.producers.get(name)
        if node is not None and node.op_type == "Shape":
            shapes[name] = None
        elif name in inputs:
            masks.add(name)
        elif node is not None and node.op_type in _SMALL:
            needed += [one for one in node.input if one and one not in names]
            names.update(node.output)
        elif name not in index.weights:
            return None
    nodes = tuple(node for node in model.graph.node if node.output[0] in names)
    if needed or len(masks) != 1 or len(nodes) < _LEAST_NODES:
        return None
    read = {name for node in nodes for name in node.input}
    return _Part(
        made=made,
        nodes=nodes,
        weights=tuple(tensor for name, tensor in index.weights.items() if name in read),
        mask=inputs[masks.pop()],
        shapes=tuple(shapes),
    )


def _padding(model: onnx.ModelProto, index: GraphIndex, part: _Part) -> Array | None:
    """The number that stands where there is no token, or None where the part says more."""
    names = sizes_of(part.mask)
    if len(names) != _RANKS[0] or not all(isinstance(name, str) for name in names):
        return None
    try:
        session = onnxruntime.InferenceSession(
            _alone(model, part).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found: set[float] = set()
        for batch, tokens in _SIZES:
            known = sweep(model, {str(names[0]): batch, str(names[1]): tokens})
            if not _fits(index, known, part, (batch, tokens)):
                return None
            for mask in _masks(batch, tokens):
                added = _tried(session, part, known, mask)
                number = _said(added, mask)
                if number is None:
                    return None
                found |= number
    except RUN_ERRORS:
        return None
    return np.asarray(found.pop(), added.dtype) if len(found) == 1 else None


def _alone(model: onnx.ModelProto, part: _Part) -> onnx.ModelProto:
    sizes = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)
             for name in part.shapes]  # fmt: skip
    made = onnx.helper.make_empty_tensor_value_info(part.made)
    graph = onnx.helper.make_graph(
        part.nodes, "part", [part.mask, *sizes], [made], list(part.weights)
    )
    return onnx.helper.make_model(
        graph, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )


def _fits(index: GraphIndex, known: Known, part: _Part, sizes: tuple[int, int]) -> bool:
    """Whether what it is added to has all its sizes already, so that one row is enough."""
    shapes = {known.shape(node.output[0]) for node in index.readers[part.made]}
    others = {
        known.shape(name)
        for node in index.readers[part.made]
        for name in node.input
        if name != part.made
    }
    return shapes == others and all(
        shape is not None and len(shape) == _RANKS[1] and (shape[0], shape[3]) == sizes
        for shape in shapes
    )


def _masks(batch: int, tokens: int) -> list[Array]:
    """All tokens, none, and some."""
    random = np.random.default_rng(0)
    some = [random.integers(0, 2, (batch, tokens)) for _ in range(_MASKS)]
    return [np.ones((batch, tokens), np.int64), np.zeros((batch, tokens), np.int64), *some]


def _tried(session: onnxruntime.InferenceSession, part: _Part, known: Known, mask: Array) -> Array:
    kind = onnx.helper.tensor_dtype_to_np_dtype(part.mask.type.tensor_type.elem_type)
    sizes = {name: known.numbers[name] for name in part.shapes}
    return np.asarray(session.run(None, {part.mask.name: mask.astype(kind), **sizes})[0])


def _said(added: Array, mask: Array) -> set[float] | None:
    """The numbers where there is no token, if each row of `added` is the mask."""
    batch, tokens = mask.shape
    if added.ndim != _RANKS[1] or added.shape[1] != 1 or added.shape[2] not in {1, tokens}:
        return None
    if added.shape[0] != batch or added.shape[3] != tokens:
        return None
    there = np.broadcast_to(mask[:, None, None, :] != 0, added.shape)
    numbers = set(np.unique(added[~there]).tolist())
    return numbers if not added[there].any() and len(numbers) <= 1 else None


def _shorten(model: onnx.ModelProto, index: GraphIndex, part: _Part, padding: Array) -> None:
    stem = f"{part.made}.short"
    weights: Sequence[tuple[str, Array]] = (
        (f"{stem}.sizes", np.array([0, 1, 1, -1], np.int64)),
        (f"{stem}.token", np.zeros((), padding.dtype)),
        (f"{stem}.padding", padding),
    )
    model.graph.initializer.extend(initializer(name, array) for name, array in weights)
    sizes, token, none = (name for name, _ in weights)
    nodes = [
        onnx.helper.make_node(
            "Cast", [part.mask.name], [f"{stem}.there"], to=onnx.TensorProto.BOOL
        ),
        onnx.helper.make_node("Reshape", [f"{stem}.there", sizes], [f"{stem}.rows"]),
        onnx.helper.make_node("Where", [f"{stem}.rows", token, none], [stem], name=stem),
    ]
    for at, node in enumerate(nodes):
        model.graph.node.insert(at, node)
    for reader in index.readers[part.made]:
        for place, name in enumerate(reader.input):
            if name == part.made:
                reader.input[place] = stem
