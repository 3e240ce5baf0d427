"""Layers as operators, and their sums by kind as the catalogue's TOML has them.

Beside the tools that count networks which no installed package builds. A map is square, `side`
values high and wide.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

KINDS: Final = ("conv", "conv1x1", "conv3x3", "depthwise", "gemm", "elementwise")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Node:
    """One operator: multiply-adds, weights, values read and written."""

    kind: str
    macs: int
    weights: int
    values: int

    def asked(self, items: int) -> "Node":
        """The same for so many items at once: the weights are read once."""
        return dataclasses.replace(self, macs=self.macs * items, values=self.values * items)


def linear(rows: int, inner: int, outer: int, *, bias: bool = True) -> Node:
    """A product with weights over `rows` rows."""
    weights = inner * outer + (outer if bias else 0)
    return Node(
        kind="gemm", macs=rows * inner * outer, weights=weights, values=rows * (inner + outer)
    )


def convolution(side: int, inner: int, outer: int, window: int = 3, stride: int = 1) -> Node:
    """A convolution with biases that makes a map of this side."""
    kind = "conv1x1" if window == 1 else "conv3x3" if stride == 1 else "conv"
    area, weights = side * side, inner * outer * window * window
    values = area * (inner * stride * stride + outer)
    return Node(kind=kind, macs=area * weights, weights=weights + outer, values=values)


def elementwise(elements: int, weights: int = 0, inputs: int = 1) -> Node:
    """Reads `inputs` values and writes one for each of `elements`; `weights` of a norm."""
    return Node(kind="elementwise", macs=0, weights=weights, values=(inputs + 1) * elements)


def weights_of(nodes: Iterable[Node]) -> int:
    """Parameters in all."""
    return sum(node.weights for node in nodes)


def gmacs(nodes: Iterable[Node]) -> str:
    """Multiply-adds in all, written in milliards."""
    return f"{sum(node.macs for node in nodes) / 1e9:.2f}"


def toml(note: str, parameters: int, nodes: Sequence[Node]) -> str:
    """The lines of an entry: a kind each, with the mean of its operators."""
    lines = [
        f"# {note}",
        f"parameters = {parameters:_}",
        f"activations = {max(node.values for node in nodes):_}",
        "operations = [",
    ]
    for kind in KINDS:
        same = [node for node in nodes if node.kind == kind]
        if not same:
            continue
        means = (
            ("macs", sum(node.macs for node in same)),
            ("weights", sum(node.weights for node in same)),
            ("activations", sum(node.values for node in same)),
        )
        sizes = ", ".join(f"{name} = {round(total / len(same)):_}" for name, total in means)
        lines.append(f'  {{ kind = "{kind}", {sizes}, count = {len(same)} }},')
    return "\n".join((*lines, "]", ""))
