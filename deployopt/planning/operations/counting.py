"""Operators by the sizes that they work on, and the sizes of one pass through a stack."""

from collections.abc import Iterable

import msgspec

from deployopt.core.plan import Operation


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a stack over `batch` sequences.

    `tokens` positions a sequence are worked on, `context` are there with them (more than `tokens`
    where earlier ones are kept), `other` are in the stack that is attended across.
    """

    batch: int
    tokens: int
    context: int
    other: int = 0

    @property
    def rows(self) -> int:
        """Positions that are worked on in all."""
        return self.batch * self.tokens

    @property
    def first(self) -> bool:
        """Whether no earlier position is kept: keys and values across are made, not read."""
        return self.tokens == self.context


def gemm(rows: float, inner: int, outer: int, count: int = 1) -> Operation:
    """`count` products of `[rows, inner]` with weights `[inner, outer]`."""
    return Operation(
        kind="gemm",
        macs=rows * inner * outer,
        weights=inner * outer,
        activations=rows * (inner + outer),
        count=count,
    )


def elementwise(elements: float, count: int = 1) -> Operation:
    """`count` operators that read and write `elements` in all and multiply next to nothing."""
    return Operation(kind="elementwise", macs=0, weights=0, activations=elements, count=count)


def merged(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Like operators as one with their count; none that does nothing."""
    counts: dict[tuple[str, float, float, float], int] = {}
    for one in operations:
        if one.count and (one.macs or one.weights or one.activations):
            key = (one.kind, one.macs, one.weights, one.activations)
            counts[key] = counts.get(key, 0) + one.count
    return tuple(
        Operation(kind=kind, macs=macs, weights=weights, activations=activations, count=count)
        for (kind, macs, weights, activations), count in counts.items()
    )
