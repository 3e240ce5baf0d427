"""Attention: its projections, and its products with the keys that each position sees.

A causal stack is counted with fused attention, which reads keys and values once, leaves out what
is masked or outside a window, and writes no scores. Any other is counted as an exported graph runs
it: the whole square of scores is written, masked, normalised and read again; the windows of a text
save nothing there, those of a picture's patches are squares of their own.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Stack
from deployopt.core.plan import Operation
from deployopt.planning.operations.counting import Pass, elementwise, gemm

_COMPARED: Final = 10
"""Reads and writes a score where distances are compared: twice picked out and added."""


def self_attention(stack: Stack, at: Pass) -> list[Operation]:
    """Everything between a layer's input and its residual, in all layers that attend."""
    if not stack.attending:
        return []
    stack = msgspec.structs.replace(stack, layers=stack.attending)
    found = _projections(stack, at)
    if stack.causal:
        turned = 2 * at.rows * (stack.heads + stack.kv_heads) * stack.head_dim
        found.append(elementwise(turned, stack.layers))  # rotary positions
    for layers, window in layers_by_window(stack):
        if stack.causal:
            found.append(fused(stack, at, layers, window))
        else:
            found += eager(stack, at, layers, window)
    if stack.relative:
        found += _distances(stack, at)
    return found


def cross_attention(stack: Stack, at: Pass) -> list[Operation]:
    """Attention to the stack before, whose keys and values are made once a request."""
    wide = stack.heads * stack.head_dim
    found = [
        gemm(at.rows, stack.hidden, wide, stack.layers),
        gemm(at.rows, wide, stack.hidden, stack.layers),
        Operation(
            kind="gemm",
            macs=2 * at.rows * at.other * wide,
            weights=0,
            activations=2 * at.rows * wide + at.batch * at.other * stack.kept,
            count=stack.layers,
        ),
    ]
    if at.first:
        narrow = stack.kv_heads * stack.head_dim
        found.append(gemm(at.batch * at.other, stack.hidden, narrow, 2 * stack.layers))
    return found


def _projections(stack: Stack, at: Pass) -> list[Operation]:
    """Queries, keys, values and the output."""
    if stack.kv_elements is not None:
        return _latent_projections(stack, at, stack.kv_elements)
    inner = stack.bottleneck or stack.hidden
    wide, narrow = stack.heads * stack.head_dim, stack.kv_heads * stack.head_dim
    return [
        gemm(at.rows, inner, wide, stack.layers),
        gemm(at.rows, inner, narrow, stack.layers),
        gemm(at.rows, stack.hidden, narrow, stack.layers),  # values: of the wide input
        gemm(at.rows, wide, inner, stack.layers),
    ]


def _latent_projections(stack: Stack, at: Pass, kept: int) -> list[Operation]:
    """Keys and values kept small, and widened for the heads where they are used."""
    wide, value = stack.heads * stack.head_dim, value_width(stack)
    plain = stack.heads * (stack.head_dim - stack.rope_dim)
    found = [
        gemm(at.rows, stack.query_latent or stack.hidden, wide, stack.layers),
        gemm(at.rows, stack.hidden, kept, stack.layers),
        gemm(at.rows, kept - stack.rope_dim, plain + value, stack.layers),
        gemm(at.rows, value, stack.hidden, stack.layers),
    ]
    if stack.query_latent:
        found.append(gemm(at.rows, stack.hidden, stack.query_latent, stack.layers))
    return found


def value_width(stack: Stack) -> int:
    """Elements of the values of all heads."""
    return stack.heads * (stack.value_dim or stack.head_dim)


def _distances(stack: Stack, at: Pass) -> list[Operation]:
    """Queries and keys against every distance, whose own projections are constants of a graph."""
    wide, scores = stack.heads * stack.head_dim, stack.heads * at.rows
    product = Operation(
        kind="gemm",
        macs=at.rows * stack.relative * wide,
        weights=0,
        activations=(at.rows + stack.relative) * wide + scores * stack.relative,
        count=2 * stack.layers,
    )
    return [product, elementwise(_COMPARED * scores * at.context, stack.layers)]


def layers_by_window(stack: Stack) -> tuple[tuple[int, int | None], ...]:
    """How many layers look back how far; None is all the way."""
    used = stack.window and (stack.causal or stack.tokens is not None)
    near = min(stack.window_layers, stack.layers) if used else 0
    return tuple(
        (layers, window)
        for layers, window in ((stack.layers - near, None), (near, stack.window))
        if layers
    )


def keys_seen(at: Pass, window: int | None) -> int:
    """Pairs of a position and a key that it sees, in one sequence of a causal stack."""
    return _below(at.context, window) - _below(at.context - at.tokens, window)


def _below(positions: int, window: int | None) -> int:
    """The sum of min(i, window) for i from 1 to `positions`."""
    inside = positions if window is None else min(positions, window)
    return inside * (inside + 1) // 2 + (positions - inside) * (window or 0)


def fused(stack: Stack, at: Pass, layers: int, window: int | None) -> Operation:
    """Both products and the softmax as one kernel."""
    read = at.context if window is None else min(at.context, window + at.tokens - 1)
    wide, value = stack.heads * stack.head_dim, value_width(stack)
    across = wide + value
    if stack.kv_elements is not None and not at.first:
        # A latent cache is used as it is kept where tokens follow others.
        across = stack.heads * (2 * stack.kept - stack.rope_dim)
    return Operation(
        kind="gemm",
        macs=at.batch * keys_seen(at, window) * across,
        weights=0,
        activations=at.rows * (wide + value) + at.batch * read * stack.kept,
        count=layers,
    )


def eager(stack: Stack, at: Pass, layers: int, window: int | None) -> list[Operation]:
    """Scores, softmax and the weighted sum, each an operator of its own."""
    seen = at.context if window is None else min(at.context, window)
    wide, scores = stack.heads * stack.head_dim, stack.heads * at.rows * seen
    product = Operation(
        kind="gemm",
        macs=at.rows * seen * wide,
        weights=0,
        activations=(at.rows + at.batch * at.context) * wide + scores,
        count=2 * layers,
    )
    return [product, elementwise(4 * scores, layers)]
