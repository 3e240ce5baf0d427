"""Keys and values that a generating model keeps: 2 x layers x kv_heads x head_dim a token.

Layers with a sliding window keep no more than the window, recurrent ones a state of constant size;
a decoder that attends to an encoder
keeps the encoder's keys and values as well.
"""

from deployopt.core.architecture import Architecture, Stack


def cache_bytes(
    architecture: Architecture, *, batch: int, context: int, element_bytes: float
) -> float:
    """All stacks, `context` tokens a sequence."""
    total, source = 0.0, context
    for stack in architecture.stacks:
        if stack.causal:
            total += _elements(stack, context, source)
        source = stack_tokens(stack, context)
    return total * batch * element_bytes


def stack_tokens(stack: Stack, context: int) -> int:
    """Positions of one request in this stack."""
    return context if stack.tokens is None else stack.tokens


def _elements(stack: Stack, context: int, source: int) -> float:
    windowed = min(stack.window_layers, stack.attending) if stack.window else 0
    seen = min(context, stack.window) if stack.window else context
    own = stack.kept * ((stack.attending - windowed) * context + windowed * seen)
    own += stack.state_layers * stack.state_elements
    crossed = 2 * stack.kv_heads * stack.head_dim * stack.layers * source if stack.cross else 0
    return own + crossed
