"""What the last layer works out for tokens that nobody reads is left out.

A classifier reads its encoder's answer at the first token only: Gather(hidden, 0, axis=1). Of the
last layer's queries, attention rows, sums and feed-forward products the first token's are then all
that matters; keys and values are needed of every token. Going up from the Gather through nodes that
treat each position by itself, a Slice is put where the others begin to matter. Every product and
sum that is left stays the same; most of a layer is saved.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.graph.index import GraphIndex, attribute, initializer
from deployopt.graph.shapes import Known, trials

_TOKENS: Final = 1
_HIDDEN_RANK: Final = 3
_ALONE: Final = frozenset(
    {"Cast", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu"}
    | {"Neg", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Tanh"}
)
_TOGETHER: Final = frozenset({"Add", "Div", "Mul", "Pow", "Sub"})

Ask = tuple[onnx.NodeProto, int, int]
"""A node that needs its input, at that place, only at index 0 of that axis."""


def keep_first_token(model: onnx.ModelProto) -> int:
    """Change the model in place; how many products with weights became those of one token."""
    index = GraphIndex(model)
    starts = [node for node in model.graph.node if _takes_first(node, index)]
    known = trials(model) if starts else []
    if not known:
        return 0
    walk = _Walk(index, known)
    for node in starts:
        if walk.rank(node.input[0]) == _HIDDEN_RANK:
            walk.ask(node, 0, _TOKENS)
    walk.go_up()
    if walk.products:
        _cut(model, walk)
    return walk.products


def _takes_first(node: onnx.NodeProto, index: GraphIndex) -> bool:
    if node.op_type != "Gather" or attribute(node, "axis", 0) != _TOKENS:
        return False
    at = index.weights.get(node.input[1])
    return at is not None and not onnx.numpy_helper.to_array(at).any()


class _Walk:
    """From the readers of one token up to where all tokens are needed."""

    def __init__(self, index: GraphIndex, known: Sequence[Known]) -> None:
        self.index = index
        self.known = known
        self.asks: dict[str, list[Ask]] = {}
        """What could not be passed on upwards, once the walk is over."""
        self.narrowed: set[str] = set()
        self.products = 0

    def ask(self, node: onnx.NodeProto, place: int, axis: int) -> None:
        """This input is needed at one index of the axis only."""
        self.asks.setdefault(node.input[place], []).append((node, place, axis))

    def go_up(self) -> None:
        """Readers come after what they read, so all of them have asked when a node is met."""
        for node in reversed(self.index.graph.node):
            asks = self.asks.get(node.output[0], [])
            if not asks or not self._all_agree(node, asks):
                continue
            wanted = self._inputs(node, asks[0][2])
            if wanted:
                del self.asks[node.output[0]]
                self.narrowed.add(node.output[0])
                self.products += node.op_type == "MatMul" and node.input[1] in self.index.weights
                for place, axis in wanted:
                    self.ask(node, place, axis)

    def rank(self, name: str) -> int:
        """The number of axes, -1 where it is not known."""
        shapes = self._shapes(name)
        return len(shapes[0]) if shapes else -1

    def _all_agree(self, node: onnx.NodeProto, asks: Sequence[Ask]) -> bool:
        name = node.output[0]
        others = any(self.index.readers.get(output) for output in node.output[1:])
        return (
            not others
            and name not in self.index.outputs
            and len(asks) == len(self.index.readers[name])
            and len({axis for *_, axis in asks}) == 1
        )

    def _inputs(self, node: onnx.NodeProto, axis: int) -> list[tuple[int, int]]:
        """Places and axes of what the node then needs of its inputs; empty where it needs all."""
        if self.rank(node.output[0]) < 0 or any(
            name and self.rank(name) < 0 for name in node.input
        ):
            return []
        if node.op_type in _ALONE:
            return [(0, axis)]
        if node.op_type in _TOGETHER:
            return self._together(node, axis)
        rule = _RULES.get(node.op_type)
        own = None if rule is None else rule(self, node, axis)
        return [] if own is None else [(0, own)]

    def _together(self, node: onnx.NodeProto, axis: int) -> list[tuple[int, int]]:
        """Inputs of which there is only one along the axis are needed as they are."""
        rank, found = self.rank(node.output[0]), []
        for place, name in enumerate(node.input):
            own = axis - rank + self.rank(name)
            if own >= 0 and {shape[own] for shape in self._shapes(name)} != {1}:
                found.append((place, own))
        return found

    def matmul(self, node: onnx.NodeProto, axis: int) -> int | None:
        """Rows of the product are rows of what stands left."""
        rank = self.rank(node.output[0])
        return axis if self.rank(node.input[0]) == rank and axis == rank - 2 else None

    def normalization(self, node: onnx.NodeProto, axis: int) -> int | None:
        """Over the axes behind."""
        first = _number(node, "axis", -1)
        return axis if first % self.rank(node.input[0]) > axis else None

    def softmax(self, node: onnx.NodeProto, axis: int) -> int | None:
        """Over another axis, opset 13 and later."""
        over = _number(node, "axis", -1) % self.rank(node.input[0])
        return axis if over != axis and self.known[0].opset >= _SOFTMAX_OF_ONE_AXIS else None

    def transpose(self, node: onnx.NodeProto, axis: int) -> int | None:
        """Where the axis came from."""
        order = attribute(node, "perm")
        if not isinstance(order, list):
            return self.rank(node.input[0]) - 1 - axis
        return int(order[axis])

    def reshape(self, node: onnx.NodeProto, axis: int) -> int | None:
        """Sizes up to the axis stay, and its own is not written down as a number."""
        target = self.known[0].numbers.get(node.input[1])
        if node.input[1] not in self.index.weights or target is None or target[axis] > 0:
            return None
        pairs = zip(self._shapes(node.input[0]), self._shapes(node.output[0]), strict=True)
        same = all(given[: axis + 1] == made[: axis + 1] for given, made in pairs)
        return axis if same and not _number(node, "allowzero", 0) else None

    def _shapes(self, name: str) -> list[tuple[int, ...]]:
        found = [known.shape(name) for known in self.known]
        return [shape for shape in found if shape is not None] if None not in found else []


_SOFTMAX_OF_ONE_AXIS: Final = 13
_RULES: Final[dict[str, Callable[[_Walk, onnx.NodeProto, int], int | None]]] = {
    "LayerNormalization": _Walk.normalization,
    "MatMul": _Walk.matmul,
    "Reshape": _Walk.reshape,
    "Softmax": _Walk.softmax,
    "Transpose": _Walk.transpose,
}


def _number(node: onnx.NodeProto, name: str, default: int) -> int:
    found = attribute(node, name, default)
    return found if isinstance(found, int) else default


def _cut(model: onnx.ModelProto, walk: _Walk) -> None:
    """A Slice behind every value that is needed whole by others, or is made in another way."""
    graph = model.graph
    slices: dict[str, list[onnx.NodeProto]] = {}
    for name, asks in walk.asks.items():
        for axis in sorted({axis for *_, axis in asks}):
            stem = f"{name}.first{axis}"
            bounds = [f"{stem}.{word}" for word in ("from", "to", "axis")]
            for bound, number in zip(bounds, (0, 1, axis), strict=True):
                graph.initializer.append(initializer(bound, np.array([number], np.int64)))
            node = onnx.helper.make_node("Slice", [name, *bounds], [stem], name=stem)
            slices.setdefault(name, []).append(node)
            for reader, place, own in asks:
                if own == axis:
                    reader.input[place] = stem
    given = [node for name in slices if name not in walk.index.producers for node in slices[name]]
    nodes = [*given]
    for node in graph.node:
        nodes += [node, *(cut for name in node.output for cut in slices.get(name, []))]
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [value for value in graph.value_info if value.name not in walk.narrowed]
    del graph.value_info[:]
    graph.value_info.extend(kept)
