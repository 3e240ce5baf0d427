"""Layers of networks that draw, as operators whose weights are all counted: biases and norms too.

A map has so many rows and columns; `rows` of a product are positions.
"""

from typing import Final

import msgspec

from deployopt.core.plan import Operation

_THREE: Final = 3


class Map(msgspec.Struct, frozen=True, kw_only=True):
    """A plane's size; `time` is the width of the embedded time that blocks add, 0 for none."""

    height: int
    width: int
    time: int = 0

    @property
    def area(self) -> int:
        """Positions."""
        return self.height * self.width

    @property
    def halved(self) -> "Map":
        """Behind a stride of two."""
        return msgspec.structs.replace(self, height=self.height // 2, width=self.width // 2)

    @property
    def doubled(self) -> "Map":
        """Before it."""
        return msgspec.structs.replace(self, height=self.height * 2, width=self.width * 2)


def linear(rows: int, inner: int, outer: int, *, bias: bool = True) -> Operation:
    """A product with weights."""
    return Operation(
        kind="gemm",
        macs=rows * inner * outer,
        weights=inner * outer + (outer if bias else 0),
        activations=rows * (inner + outer),
    )


def convolution(at: Map, inner: int, outer: int, window: int = 3, stride: int = 1) -> Operation:
    """One with biases that makes a map of this size."""
    kind = "conv1x1" if window == 1 else "conv3x3" if stride == 1 else "conv"
    weights = inner * outer * window * window
    return Operation(
        kind=kind,
        macs=at.area * weights,
        weights=weights + outer,
        activations=at.area * (inner * stride * stride + outer),
    )


def elementwise(elements: int, weights: int = 0) -> Operation:
    """Reads and writes one value for each; `weights` of a norm."""
    return Operation(kind="elementwise", macs=0, weights=weights, activations=2 * elements)


def residual(at: Map, inner: int, outer: int) -> list[Operation]:
    """Norm, SiLU, convolution, time, norm, SiLU, convolution, sum."""
    nodes = [
        elementwise(at.area * inner, 2 * inner),
        elementwise(at.area * inner),
        convolution(at, inner, outer),
        elementwise(at.area * outer, 2 * outer),
        elementwise(at.area * outer),
        convolution(at, outer, outer),
        elementwise(at.area * outer),
    ]
    if at.time:
        nodes += [linear(1, at.time, outer), elementwise(at.area * outer)]
    return nodes if inner == outer else [*nodes, convolution(at, inner, outer, 1)]


def attention(
    rows: int, seen: int, width: int, source: int, *, bias: bool = False, heads: int = 0
) -> list[Operation]:
    """Over `seen` positions of width `source`.

    Where `heads` are given their scores are written by one product, normalised, and read by the
    other, as an exported graph has it; else they stay within one kernel.
    """
    scores = heads * rows * seen
    product = Operation(
        kind="gemm", macs=rows * seen * width, weights=0, activations=(rows + seen) * width + scores
    )
    return [
        *([elementwise(scores)] if scores else []),
        linear(rows, width, width, bias=bias),
        linear(seen, source, width, bias=bias),
        linear(seen, source, width, bias=bias),
        product,
        product,
        linear(rows, width, width),
    ]


def transformer(
    at: Map, width: int, cross: int, tokens: int, depth: int, heads: int = 0
) -> list[Operation]:
    """Attention within the map and to `tokens` of a text, and a gated feed-forward.

    `heads` as of `attention`.
    """
    rows = at.area
    nodes = [elementwise(rows * width, 2 * width), linear(rows, width, width)]
    for _ in range(depth):
        nodes += [elementwise(rows * width, 2 * width) for _ in range(_THREE)]
        nodes += attention(rows, rows, width, width, heads=heads)
        nodes += attention(rows, tokens, width, cross, heads=heads)
        nodes += [linear(rows, width, 8 * width), elementwise(rows * 8 * width)]
        nodes += [linear(rows, 4 * width, width)]
        nodes += [elementwise(rows * width) for _ in range(_THREE)]
    return [*nodes, linear(rows, width, width), elementwise(rows * width)]
