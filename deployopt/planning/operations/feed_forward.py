"""Feed-forward layers: dense, gated, and mixtures of experts.

Of experts only those count that a token is sent to. With tokens sent evenly, `rows` of them meet
n (1 - (1 - k/n)^rows) of n experts when each goes to k; that many experts' weights are read.
"""

from deployopt.core.architecture import Stack
from deployopt.core.plan import Operation
from deployopt.planning.operations.counting import Pass, elementwise, gemm

_GELU = 8
"""Reads and writes an element: an exported GELU is five operators."""
_RELU = 2
_FUSED = 2
_PRODUCT = 3


def feed_forward(stack: Stack, at: Pass) -> list[Operation]:
    """All feed-forwards of all layers, without their residuals and norms."""
    sparse = stack.layers - stack.dense_layers if stack.experts else 0
    found = _dense(stack, at.rows, stack.ffn, stack.layers - sparse)
    if sparse:
        found += _experts(stack, at.rows, sparse)
        if stack.shared_ffn:
            found += _dense(stack, at.rows, stack.shared_ffn, sparse)
    return found


def experts_met(stack: Stack, rows: int) -> float:
    """How many different experts `rows` tokens are expected to be sent to."""
    if stack.experts_used >= stack.experts:
        return float(stack.experts)
    missed = (1 - stack.experts_used / stack.experts) ** rows
    return stack.experts * (1 - missed)


def _dense(stack: Stack, rows: int, ffn: int, layers: int) -> list[Operation]:
    inner, count = stack.bottleneck or stack.hidden, layers * stack.feed_forwards
    return [
        gemm(rows, inner, ffn, count * (2 if stack.gated else 1)),
        gemm(rows, ffn, inner, count),
        elementwise(_passes(stack) * rows * ffn, count),
    ]


def _experts(stack: Stack, rows: int, layers: int) -> list[Operation]:
    met, sent = experts_met(stack, rows), rows * stack.experts_used
    hidden, ffn = stack.hidden, stack.expert_ffn
    product = Operation(
        kind="gemm",
        macs=sent * hidden * ffn,
        weights=met * hidden * ffn,
        activations=sent * (hidden + ffn),
        count=layers * (3 if stack.gated else 2),
    )
    return [
        gemm(rows, hidden, stack.experts, layers),  # the router
        product,
        elementwise(_passes(stack) * sent * ffn, layers),
        elementwise(2 * sent * hidden, layers),  # the sum over a token's experts
    ]


def _passes(stack: Stack) -> int:
    """Elements read and written for one of the feed-forward's width."""
    narrow = _RELU if stack.bottleneck else _GELU
    plain = _FUSED if stack.causal else narrow
    return plain + (_PRODUCT if stack.gated else 0)
