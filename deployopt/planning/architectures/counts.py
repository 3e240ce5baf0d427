"""Parameters of the parts that transformers are made of, and the operators at their ends."""

from deployopt.core.plan import Operation


def linear(inner: int, outer: int, *, bias: bool = True) -> int:
    """A dense layer."""
    return inner * outer + (outer if bias else 0)


def bert_layer(hidden: int, ffn: int, *, attention: int | None = None) -> int:
    """Attention, feed-forward and two LayerNorms, all with biases."""
    products = 4 * linear(hidden, hidden) if attention is None else attention
    return products + linear(hidden, ffn) + linear(ffn, hidden) + 4 * hidden


def decoder_layer(hidden: int, ffn: int) -> int:
    """A layer that attends twice, with a norm for each attention."""
    return bert_layer(hidden, ffn) + 4 * linear(hidden, hidden) + 2 * hidden


def box_head(hidden: int, outputs: int) -> int:
    """Three dense layers, as detectors have them."""
    return 2 * linear(hidden, hidden) + linear(hidden, outputs)


def patch_embedding(patches: int, pixels: int, hidden: int) -> Operation:
    """A convolution whose windows of `pixels` values (channels too) do not overlap."""
    return Operation(
        kind="conv",
        macs=patches * pixels * hidden,
        weights=pixels * hidden,
        activations=patches * (pixels + hidden),
    )
