"""One way of running a generating model, in full: what a person may know beyond the precision.

`inference_need` fills in what is usual; a table of measurements can say more.
"""

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.memory import Part
from deployopt.planning.memory.cache import cache_bytes
from deployopt.planning.memory.passing import logit_bytes, prompt_bytes
from deployopt.planning.memory.weights import weight_parts, widest_matrix


class Serving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`context` tokens in all of which `prompt` are read at once; bytes an element."""

    bits: float
    batch: int = 1
    context: int
    prompt: int | None = None
    """None: all of the context."""
    cache_bytes: float = 2.0
    activation_bytes: float = 2.0
    head_quantized: bool = False
    """The head is quantized too, and dequantized whole to be used."""
    scored: bool = False
    """Every token of the prompt is scored over the vocabulary, as Transformers did before 4.45."""
    concatenated: bool = False
    """Every new token copies the cache: freed blocks of the old one stay reserved."""


def serving_parts(architecture: Architecture, serving: Serving) -> tuple[Part, ...]:
    """Everything but the runtime."""
    kept = cache_bytes(
        architecture,
        batch=serving.batch,
        context=serving.context,
        element_bytes=serving.cache_bytes,
    )
    prompt = serving.context if serving.prompt is None else serving.prompt
    passing = prompt_bytes(
        architecture,
        batch=serving.batch,
        prompt=prompt,
        element_bytes=serving.activation_bytes,
    )
    scored = serving.batch * (prompt if serving.scored else 1)
    return (
        *_weights(architecture, serving),
        Part(name="KV cache", bytes=kept),
        Part(name="reserve", bytes=kept if serving.concatenated else 0.0),
        Part(name="activations", bytes=passing),
        Part(name="logits", bytes=logit_bytes(architecture, scored)),
    )


def _weights(architecture: Architecture, serving: Serving) -> tuple[Part, ...]:
    """A quantized matrix is turned back to 16 bits to be multiplied, one at a time."""
    if serving.bits >= 16:  # noqa: PLR2004 -- bits of half precision
        return weight_parts(architecture, serving.bits)
    if not serving.head_quantized:
        turned = Part(name="dequantized", bytes=2 * widest_matrix(architecture))
        return (*weight_parts(architecture, serving.bits), turned)
    table = architecture.embedding_parameters
    head = architecture.head_parameters or table
    return (
        Part(name="weights", bytes=(architecture.parameters - table) * serving.bits / 8),
        Part(name="embeddings and head", bytes=2.0 * table),
        # The 16-bit copy and its transpose.
        Part(name="dequantized", bytes=2 * 2.0 * head),
    )
