"""Layers that carry a state from token to token: Mamba, gated delta nets, short convolutions.

In: a stack with such layers. Out: their dense products, and the state's update. A pass over many
tokens reads and writes the state once, as scans in blocks do; one more token does the same.
"""

from typing import Final

from deployopt.core.architecture import Stack
from deployopt.core.plan import Operation
from deployopt.planning.operations.counting import Pass, elementwise

_UPDATE: Final = 3
"""Multiply-adds a state's element and token: it decays, takes the token in, and is read."""
_WIDE: Final = 8
"""Reads and writes of the hidden width's elements a token: gate, convolution, norm."""


def recurrence(stack: Stack, at: Pass) -> list[Operation]:
    """All layers that have a state."""
    product = Operation(
        kind="gemm",
        macs=at.rows * stack.state_parameters,
        weights=stack.state_parameters,
        activations=at.rows * (stack.hidden + stack.state_parameters // stack.hidden),
        count=stack.state_layers,
    )
    update = Operation(
        kind="elementwise",
        macs=_UPDATE * at.rows * stack.state_elements,
        weights=0,
        activations=2 * at.batch * stack.state_elements,
        count=stack.state_layers,
    )
    return [product, update, elementwise(_WIDE * at.rows * stack.hidden, stack.state_layers)]
