"""How much memory one device of a target has for a model, and how many devices there are."""

from deployopt.core.architecture import Architecture
from deployopt.core.evidence import Estimate
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity


def card_count(target: Target) -> int:
    """GPUs that work on a model; 1 where it runs on the CPU."""
    gpu = target.hardware.gpu
    return gpu.count if gpu is not None and target.runtime.provider != "cpu" else 1


def splits(architecture: Architecture, target: Target) -> tuple[int, ...]:
    """Over how many GPUs one copy can be split: heads have to divide among them.

    Only models that generate are split; others run as a graph on one device.
    """
    if not architecture.generates:
        return (1,)
    heads = [stack.heads for stack in architecture.stacks] or [1]
    counts = range(1, card_count(target) + 1)
    return tuple(n for n in counts if all(head % n == 0 for head in heads))


def usable_bytes(target: Target) -> float:
    """Of one device."""
    return float(target.hardware.memory_usable) / card_count(target)


def reads_text(architecture: Architecture) -> bool:
    """Whether a request's length varies: some stack is as long as the text."""
    return any(stack.tokens is None for stack in architecture.stacks)


def fits_inside(estimate: Estimate, target: Target) -> bool:
    """Whether the whole band fits one device."""
    return estimate.upper <= usable_bytes(target)


def shown_need(estimate: Estimate) -> str:
    """`12.1 to 17.1 GiB`."""
    low, high = (show_quantity(v, Dimension.SIZE) for v in (estimate.lower, estimate.upper))
    unit = high.rpartition(" ")[2]
    return low if low == high else f"{low.removesuffix(f' {unit}')} to {high}"
