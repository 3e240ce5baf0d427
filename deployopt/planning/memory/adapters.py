"""LoRA: two thin matrices beside a frozen one, rank x (inputs + outputs) parameters; prefixes."""

from collections.abc import Iterable

from deployopt.core.architecture import Architecture, Stack


def adapter_parameters(
    architecture: Architecture, rank: int, *, attention_only: bool = False
) -> int:
    """On every linear layer, or on queries and values alone (Hu et al. 2021's choice)."""
    shapes = (
        s.layers * sum(i + o for i, o in _linears(s, attention_only=attention_only))
        for s in architecture.stacks
    )
    return round(rank * sum(shapes))


def prefix_parameters(architecture: Architecture, tokens: int) -> int:
    """A key and a value for every layer and token, and the head, which is trained whole."""
    pairs = (2 * s.layers * s.kv_heads * s.head_dim for s in architecture.stacks)
    return tokens * sum(pairs) + architecture.head_parameters


def _linears(stack: Stack, *, attention_only: bool) -> Iterable[tuple[int, int]]:
    """Inputs and outputs of each matrix of one layer."""
    queries, keys = stack.heads * stack.head_dim, stack.kv_heads * stack.head_dim
    yield from ((stack.hidden, queries), (stack.hidden, keys))
    if attention_only:
        return
    yield from ((stack.hidden, keys), (queries, stack.hidden))
    if stack.cross:
        yield from ((stack.hidden, queries), (stack.hidden, keys))
        yield from ((stack.hidden, keys), (queries, stack.hidden))
    for width in _widths(stack):
        yield from ((stack.hidden, width),) * (2 if stack.gated else 1)
        yield (width, stack.hidden)


def _widths(stack: Stack) -> tuple[int, ...]:
    if not stack.experts:
        return (stack.ffn,) * stack.feed_forwards
    shared = (stack.shared_ffn,) if stack.shared_ffn else ()
    return (stack.expert_ffn,) * stack.experts + shared
