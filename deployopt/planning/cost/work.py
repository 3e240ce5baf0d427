"""Multiply-adds of a training run: one example forward, and what going back adds.

In: a model's shape and a way to train. Out: floating-point operations of one example by kind of
operator. Full training does three forwards' work (the 6 x parameters x tokens of Kaplan et al.,
2001.08361, with attention and heads counted as they are): forward, gradients of activations,
gradients of weights. A frozen base leaves out the last; checkpointing adds a forward.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from deployopt.core.architecture import Architecture
from deployopt.core.memory import Method, Training
from deployopt.core.plan import Operation
from deployopt.planning.operations.counting import Pass, gemm
from deployopt.planning.operations.stacks import stack_operations


def example_flops(architecture: Architecture, training: Training) -> Mapping[str, float]:
    """Operations of one example by kind (gemm, conv3x3, depthwise, ...), forward and back.

    Encoder and decoder both see `length` tokens, at most what a table of positions holds.
    """
    once: dict[str, float] = defaultdict(float)
    once_more = repeats(architecture)
    for operation in architecture.operations:
        if operation.macs:
            once[operation.kind] += 2 * operation.macs * operation.count / once_more
    for operation in _stacks(architecture, training.length):
        if operation.macs:
            once[operation.kind] += 2 * operation.macs * operation.count
    if not once:
        tokens = training.length
        once["gemm"] = 2.0 * architecture.active_parameters * tokens
    passes = forwards(training)
    return {kind: passes * flops for kind, flops in once.items()}


def forwards(training: Training) -> float:
    """How many forwards' work an example takes in all."""
    if training.method is Method.FULL:
        back = 2.0
    elif training.method is Method.FREEZE:
        back = 2.0 * training.trained_share
    else:
        back = 1.0
    again = training.trained_share if training.method is Method.FREEZE else 1.0
    return 1 + back + (again if training.checkpointing else 0.0)


def trained_parameters(architecture: Architecture, training: Training) -> float:
    """Parameters that an optimizer step goes over; an adapter's are too few to count."""
    if training.method is Method.FULL:
        return architecture.parameters
    if training.method is Method.FREEZE:
        return architecture.parameters * training.trained_share
    return 0.0


def repeats(architecture: Architecture) -> int:
    """How often one request runs the operators outside the stacks: a diffusion model's steps.

    Told by weights that are read more often than they are there; training runs them once.
    """
    read = sum(one.weights * one.count for one in architecture.operations)
    return max(1, round(read / architecture.parameters))


def _stacks(architecture: Architecture, length: int) -> Iterator[Operation]:
    """One example through all stacks; a model that generates makes logits for every token."""
    tokens = architecture.within(length)
    before = 0
    for stack in architecture.stacks:
        count = stack.tokens or tokens
        yield from stack_operations(stack, Pass(batch=1, tokens=count, context=count, other=before))
        before = count
    if architecture.generates and not architecture.labels:
        yield gemm(before, architecture.stacks[-1].hidden, architecture.vocabulary)
