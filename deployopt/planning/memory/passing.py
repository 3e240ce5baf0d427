"""What a forward pass holds beside weights and cache, at its peak.

A decoder reads its prompt layer by layer: 4 x hidden (residual, its copy, the norm's output, the
sum) and the feed-forward's 3 x width (gate, up, product) a token. Attention does not write its
scores out. An encoder in ONNX Runtime does: 4 x hidden + 2 x heads x tokens, or the feed-forward,
whichever is wider, over the residual.
"""

from typing import Final

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.memory.cache import stack_tokens

_LOGIT_BYTES: Final = 6.0
"""Of a position's scores: once as computed, once in fp32."""


def ffn_width(stack: Stack) -> float:
    """Feed-forward elements that one token of one layer passes through."""
    if not stack.experts:
        return stack.ffn
    return stack.experts_used * stack.expert_ffn + stack.shared_ffn


def prompt_bytes(
    architecture: Architecture, *, batch: int, prompt: int, element_bytes: float
) -> float:
    """The peak of reading the prompt; stacks run one after the other."""
    widest = max(
        (stack_tokens(s, prompt) * _token_elements(s) for s in architecture.stacks), default=0.0
    )
    return max(widest, architecture.activations) * batch * element_bytes


def _token_elements(stack: Stack) -> float:
    return 4 * stack.hidden + (3 if stack.gated else 2) * ffn_width(stack)


def logit_bytes(architecture: Architecture, scored: int) -> float:
    """Scores over the vocabulary of so many positions: usually each sequence's last."""
    return scored * architecture.vocabulary * _LOGIT_BYTES if architecture.generates else 0.0


def graph_elements(architecture: Architecture, *, batch: int, tokens: int) -> float:
    """Elements alive at once in a graph that writes its scores out."""
    peaks = [float(architecture.activations)]
    for stack in architecture.stacks:
        rows = stack_tokens(stack, tokens)
        attention = rows * (4 * stack.hidden + 2 * stack.heads * rows)
        peaks.append(2 * rows * stack.hidden + max(attention, 3 * rows * ffn_width(stack)))
    return max(peaks) * batch
