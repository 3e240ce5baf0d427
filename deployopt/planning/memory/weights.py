"""Bytes that weights take at a precision.

Quantizers of language models leave the embedding table and the output head in 16 bits; ONNX
Runtime's quantizers of encoders and convolution nets take them along.
"""

from collections.abc import Mapping
from typing import Final

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.artifact import Precision
from deployopt.core.memory import Part

BITS: Final[Mapping[Precision, float]] = {
    Precision.FP32: 32.0,
    Precision.TF32: 32.0,
    Precision.BF16: 16.0,
    Precision.FP16: 16.0,
    Precision.MIXED: 16.0,
    Precision.FP8: 8.0,
    Precision.INT8: 8.16,  # with a scale and a zero point a row or a group
    Precision.INT4: 4.25,  # GPTQ and AWQ, groups of 128
    Precision.NF4: 4.5,  # blocks of 64, each with a scale in fp32 (Dettmers et al. 2023)
}
"""Bits a weight, its share of the scales included."""
FULL: Final = frozenset({Precision.FP32, Precision.TF32})
"""Kept in 32 bits; what is computed with TF32 is."""
NF4_DOUBLE_BITS: Final = 4.127
"""NF4 with its scales quantized as well: what QLoRA uses."""
_HALF_BYTES: Final = 2.0


def weight_parts(architecture: Architecture, bits: float) -> tuple[Part, ...]:
    """Weights at `bits`; below 16, the embeddings and the head in 16."""
    kept = kept_parameters(architecture)
    if bits >= 16 or not kept:  # noqa: PLR2004 -- bits of half precision
        return (Part(name="weights", bytes=architecture.parameters * bits / 8),)
    return (
        Part(name="weights", bytes=(architecture.parameters - kept) * bits / 8),
        Part(name="embeddings and head", bytes=kept * _HALF_BYTES),
    )


def kept_parameters(architecture: Architecture) -> int:
    """Those that a quantizer of language models leaves alone."""
    kept = architecture.embedding_parameters + architecture.head_parameters
    return min(kept, architecture.parameters)


def layer_parameters(stack: Stack) -> float:
    """Parameters of one layer's matrices, of all its experts; norms and biases left out."""
    queries = stack.heads * stack.head_dim
    attention = stack.hidden * (2 * queries + 2 * stack.kv_heads * stack.head_dim)
    matrices = 3 if stack.gated else 2
    width = stack.ffn * stack.feed_forwards
    if stack.experts:
        width = stack.experts * stack.expert_ffn + stack.shared_ffn
    return attention * (2 if stack.cross else 1) + matrices * stack.hidden * width


def widest_matrix(architecture: Architecture) -> float:
    """Elements of the largest matrix inside a layer."""
    return max(
        (s.hidden * max(s.ffn, s.expert_ffn, s.hidden) for s in architecture.stacks), default=0
    )
