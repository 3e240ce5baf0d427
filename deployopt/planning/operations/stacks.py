"""All operators of one pass through a stack, and the values alive at once in it."""

from deployopt.core.architecture import Stack
from deployopt.core.plan import Operation
from deployopt.planning.operations.attention import (
    cross_attention,
    layers_by_window,
    self_attention,
)
from deployopt.planning.operations.counting import Pass, elementwise, gemm
from deployopt.planning.operations.feed_forward import feed_forward
from deployopt.planning.operations.recurrence import recurrence

_NORM = 5
"""Reads and writes an element of a sum and the norm after it."""


def stack_operations(stack: Stack, at: Pass) -> list[Operation]:
    """The layers; embeddings and heads are not in it."""
    found = [*self_attention(stack, at), *feed_forward(stack, at), *_norms(stack, at)]
    if stack.state_layers:
        found += recurrence(stack, at)
    if stack.cross:
        found += cross_attention(stack, at)
    if stack.bottleneck:
        found += [
            gemm(at.rows, stack.hidden, stack.bottleneck, 2 * stack.layers),
            gemm(at.rows, stack.bottleneck, stack.hidden, stack.layers),
        ]
    return found


def _norms(stack: Stack, at: Pass) -> list[Operation]:
    if stack.bottleneck:  # its norm is a product and a sum
        return [
            elementwise(
                3 * at.rows * stack.bottleneck, (3 + 2 * stack.feed_forwards) * stack.layers
            )
        ]
    count = 1 + stack.feed_forwards + stack.cross
    return [elementwise(_NORM * at.rows * stack.hidden, count * stack.layers)]


def peak_elements(stack: Stack, at: Pass) -> int:
    """Elements alive at once: the residual and the wider of attention and feed-forward.

    With attention as `attention` counts it: eager holds two squares of scores, fused none. The
    kept keys and values of earlier positions are not in it.
    """
    rows = at.rows
    if stack.causal:
        attention = 2 * rows * (stack.heads + stack.kv_heads) * stack.head_dim
        width = (3 if stack.gated else 2) * _widest(stack)
    else:
        seen = max(min(at.context, window or at.context) for _, window in layers_by_window(stack))
        attention = 4 * rows * stack.hidden + 2 * stack.heads * rows * seen
        width = 3 * _widest(stack)
    return 2 * rows * stack.hidden + max(attention, rows * width)


def _widest(stack: Stack) -> int:
    dense = stack.ffn if not stack.experts or stack.dense_layers else 0
    return max(dense, stack.experts_used * stack.expert_ffn + stack.shared_ffn)
