"""What the forward pass keeps for the backward pass, by layer.

Bytes a token and layer for 16-bit arithmetic with attention that does not write its scores out:
12 h + 2 n ffn, n = 2 for GELU and 4 for SwiGLU, and 8 h where RMSNorm works in fp32. Trained
matrices keep their inputs as well (4 h: then a GELU layer with dropout is Korthikanti et al.'s
34 h, arXiv 2205.05198); adapters and quantized matrices keep a copy of all four (6 h + 2 ffn).
Scores that are written out add (2 x bytes + 1) x heads x tokens, 11 under autocast. Checkpointing
keeps the input of every layer and recomputes one layer at a time. A layer that carries a state in
place of attention keeps what its own matrices give and take, 3 inner widths (Mamba's fused kernel
saves the projected input, twice that wide, and the scan's output): its parameters over h.
"""

from enum import StrEnum
from typing import Final

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Training
from deployopt.planning.memory.cache import stack_tokens
from deployopt.planning.memory.passing import ffn_width
from deployopt.planning.memory.weights import FULL


class Inputs(StrEnum):
    """Which inputs of its matrices a layer keeps."""

    NONE = "none"
    TRAINED = "trained"
    COPIED = "copied"


_INPUTS: Final = {
    Method.FULL: Inputs.TRAINED,
    Method.FREEZE: Inputs.TRAINED,
    Method.LORA: Inputs.COPIED,
    Method.QLORA: Inputs.COPIED,
    Method.PREFIX: Inputs.NONE,
}


def element_bytes(precision: Precision) -> float:
    """Of activations."""
    return 4.0 if precision in FULL else 2.0


def saved_bytes(
    architecture: Architecture, training: Training, inputs: Inputs | None = None
) -> float:
    """All layers that gradients pass through, for one device's batch."""
    kept = _INPUTS[training.method] if inputs is None else inputs
    passed = training.trained_share if training.method is Method.FREEZE else 1.0
    width = element_bytes(training.precision)
    total = architecture_outputs(architecture) * width * (passed if architecture.stacks else 1.0)
    for stack in architecture.stacks:
        tokens = _tokens(stack, architecture, training)
        layer = tokens * token_bytes(stack, tokens, training, kept)
        layers = stack.layers * passed
        if training.checkpointing:
            total += layers * tokens * stack.hidden * width + layer
        else:
            total += layers * layer
    return total * training.batch


def token_bytes(stack: Stack, tokens: int, training: Training, inputs: Inputs) -> float:
    """Of one token in one layer, the mean of all where some attend and some carry a state."""
    width = element_bytes(training.precision)
    attending, carrying = (n / stack.layers for n in (stack.attending, stack.state_layers))
    queries = stack.heads * stack.head_dim
    mixed = attending * (2 * queries + 2 * stack.kv_heads * stack.head_dim)
    mixed += carrying * stack.state_parameters / stack.hidden
    feed = (4 if stack.gated else 2) * ffn_width(stack) * stack.feed_forwards
    total = width * (2 * stack.hidden + mixed * (2 if stack.cross else 1) + feed)
    if stack.rms and training.precision not in FULL:
        total += 2 * 4 * stack.hidden
    if not (stack.rms or stack.causal):
        total += 2 * stack.hidden  # the dropout masks of encoders, a byte an element
    if not training.flash:
        total += attending * _score_bytes(training) * stack.heads * tokens
    return total + width * _inputs(stack, inputs)


def _score_bytes(training: Training) -> float:
    """Of one score: the softmax, the dropout's mask and output; autocast works them out in fp32."""
    if training.precision in FULL or training.pure:
        return 2 * element_bytes(training.precision) + 1
    return 4.0 + 1.0 + 4.0 + 2.0


def _inputs(stack: Stack, inputs: Inputs) -> float:
    if inputs is Inputs.COPIED:
        return 3 * stack.hidden + ffn_width(stack)
    return 2 * stack.hidden if inputs is Inputs.TRAINED else 0.0


def architecture_outputs(architecture: Architecture) -> float:
    """Elements that operators outside the stacks read and write: a convolution keeps its input,
    and the norm behind it the convolution's output."""  # noqa: D205, D209
    working = [o for o in architecture.operations if o.macs]
    read = sum(o.weights * o.count for o in working)
    # A denoiser passes its weights once a step; training takes one step at a time.
    passes = max(1.0, read / max(1, architecture.parameters))
    return sum(o.activations * o.count for o in working) / passes


def text_tokens(architecture: Architecture, training: Training) -> int:
    """Tokens of an example, at most what a table of positions holds."""
    return architecture.within(training.length)


def _tokens(stack: Stack, architecture: Architecture, training: Training) -> int:
    return stack_tokens(stack, text_tokens(architecture, training))
