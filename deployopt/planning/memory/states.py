"""Bytes that every trained parameter takes: its copies, its gradient, its optimizer's state.

fp32 AdamW: 4 + 4 + 8 = 16. Mixed precision: a 16-bit copy more, 18. 8-bit Adam keeps 2 bytes of
state instead of 8, SGD with momentum 4 (Rajbhandari et al. 2019; Dettmers et al. 2021).
"""

from typing import Final, NamedTuple

from deployopt.core.memory import Optimizer, Training
from deployopt.planning.memory.weights import FULL

_MOMENTS: Final = {Optimizer.ADAMW: 2, Optimizer.SGD: 1}


class States(NamedTuple):
    """Bytes a trained parameter; `step`: what an update holds for a moment beside the rest."""

    weights: float
    master: float
    gradients: float
    optimizer: float
    step: float


def states(training: Training) -> States:
    """For weights that are trained where they are."""
    full = training.precision in FULL
    width = 2.0 if training.pure and not full else 4.0
    return States(
        weights=4.0 if full else 2.0,
        master=0.0 if full or training.pure else 4.0,
        gradients=width,
        optimizer=_optimizer(training.optimizer, width),
        step=_step(training, width),
    )


def adapter_states(training: Training) -> States:
    """For adapters, which are kept in fp32 (unless all is in 16 bits)."""
    width = 2.0 if training.pure and training.precision not in FULL else 4.0
    return States(
        weights=width,
        master=0.0,
        gradients=width,
        optimizer=_optimizer(training.optimizer, width),
        step=_step(training, width),
    )


def _optimizer(optimizer: Optimizer, width: float) -> float:
    return 2.0 if optimizer is Optimizer.ADAMW_8BIT else _MOMENTS[optimizer] * width


def _step(training: Training, width: float) -> float:
    """PyTorch's AdamW, unless fused, computes the whole update before it applies it."""
    return width if training.optimizer is Optimizer.ADAMW else 0.0
