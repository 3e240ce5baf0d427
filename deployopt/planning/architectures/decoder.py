"""Decoders that generate text: one record of sizes and switches, and what they add up to.

A family fills a `Decoder`; `assemble` counts it. Rotary and ALiBi positions have no parameters.
"""

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.heads import head_of
from deployopt.planning.architectures.keys import Keys
from deployopt.planning.operations.counting import gemm


class Decoder(msgspec.Struct, frozen=True, kw_only=True):
    """Llama's switches by default: RMSNorm, three matrices in the feed-forward, no biases."""

    model_type: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    positions: int | None
    gated: bool = True
    rms: bool = True
    norm_width: int = 1
    """Elements of a norm, as a multiple of its width: 2 with a bias, 0 without parameters."""
    norms: int = 2
    """Norms of the hidden width in a layer."""
    qkv_bias: bool = False
    out_bias: bool = False
    ffn_bias: bool = False
    layer_extra: int = 0
    """Other elements of a layer: norms of queries and keys, attention sinks."""
    attention: int | None = None
    """Parameters of a layer's attention where it is not the usual four matrices."""
    tables: int = 0
    """Elements of lookup tables beside the vocabulary: learned positions."""
    extra: int = 0
    """Other elements outside the layers, the final norm apart."""
    final_norms: int = 1
    embedding_width: int | None = None
    tied: bool = False
    head_bias: bool = False
    window: int | None = None
    window_layers: int = 0
    experts: int = 0
    experts_used: int = 0
    expert_ffn: int = 0
    expert_bias: bool = False
    router_bias: bool = False
    router_extra: int = 0
    shared_ffn: int = 0
    dense_layers: int = 0
    kv_elements: int | None = None
    attention_layers: int | None = None
    state_layers: int = 0
    state_elements: int = 0
    state_parameters: int = 0

    @property
    def attending(self) -> int:
        """Layers that attend."""
        return self.layers if self.attention_layers is None else self.attention_layers

    def attention_parameters(self) -> int:
        """Queries, keys, values and the output of one layer."""
        if self.attention is not None:
            return self.attention
        inner, kept = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return linear(self.hidden, inner + 2 * kept, bias=self.qkv_bias) + linear(
            inner, self.hidden, bias=self.out_bias
        )

    def feed_forward(self, width: int, *, bias: bool) -> int:
        """The matrices of one feed-forward."""
        up = (2 if self.gated else 1) * width
        return linear(self.hidden, up, bias=bias) + linear(width, self.hidden, bias=bias)

    def router_parameters(self) -> int:
        """What a mixture-of-experts layer has beside its routed experts."""
        shared = self.feed_forward(self.shared_ffn, bias=False) if self.shared_ffn else 0
        return linear(self.hidden, self.experts, bias=self.router_bias) + self.router_extra + shared


def assemble(keys: Keys, decoder: Decoder) -> Architecture:
    """The architecture of this decoder with the head that the config names."""
    sparse = decoder.layers - decoder.dense_layers if decoder.experts else 0
    dense = decoder.layers - sparse
    expert = decoder.feed_forward(decoder.expert_ffn, bias=decoder.expert_bias)
    experts = sparse * decoder.experts * expert
    norm = decoder.norm_width * decoder.hidden
    per_layer = decoder.norms * norm + decoder.layer_extra
    body = (
        decoder.layers * per_layer
        + decoder.attending * decoder.attention_parameters()
        + decoder.state_layers * decoder.state_parameters
        + dense * decoder.feed_forward(decoder.ffn, bias=decoder.ffn_bias)
        + (sparse * decoder.router_parameters() if sparse else 0)
        + experts
        + decoder.final_norms * norm
        + decoder.extra
    )
    width = decoder.embedding_width or decoder.hidden
    tables = decoder.vocabulary * width + decoder.tables
    end = head_of(keys, "generate")
    vocabulary_head, other_head, labels = _head(keys, decoder, end, width)
    return Architecture(
        model_type=decoder.model_type,
        stacks=(stack_of(decoder),),
        operations=_head_operations(decoder.hidden, labels, end),
        vocabulary=decoder.vocabulary,
        positions=decoder.positions,
        learned_positions=decoder.tables > 0,
        labels=labels,
        tied=decoder.tied and end == "generate",
        parameters=body + tables + vocabulary_head + other_head,
        embedding_parameters=tables,
        head_parameters=vocabulary_head,
        expert_parameters=experts,
        basis="",
    )


def stack_of(decoder: Decoder) -> Stack:
    """The layers, as memory and operations see them."""
    return Stack(
        name="decoder",
        layers=decoder.layers,
        hidden=decoder.hidden,
        heads=decoder.heads,
        kv_heads=decoder.kv_heads,
        head_dim=decoder.head_dim,
        ffn=decoder.ffn,
        gated=decoder.gated,
        causal=True,
        rms=decoder.rms,
        window=decoder.window if decoder.window_layers else None,
        window_layers=decoder.window_layers if decoder.window else 0,
        experts=decoder.experts,
        experts_used=decoder.experts_used,
        expert_ffn=decoder.expert_ffn,
        shared_ffn=decoder.shared_ffn,
        dense_layers=decoder.dense_layers if decoder.experts else 0,
        kv_elements=decoder.kv_elements,
        attention_layers=decoder.attention_layers,
        state_layers=decoder.state_layers,
        state_elements=decoder.state_elements,
        state_parameters=decoder.state_parameters,
    )


def _head(keys: Keys, decoder: Decoder, end: str, width: int) -> tuple[int, int, int]:
    """Parameters of a vocabulary head of its own, of any other head, and the labels."""
    if end == "generate":
        bias = decoder.vocabulary if decoder.head_bias else 0
        return (0 if decoder.tied else decoder.vocabulary * width) + bias, 0, 0
    if end == "classify":
        labels = keys.labels()
        return 0, decoder.hidden * labels, labels
    if end in {"tag", "span"}:
        labels = keys.labels()
        return 0, linear(decoder.hidden, labels), labels
    return 0, 0, 0


def _head_operations(hidden: int, labels: int, end: str) -> tuple[Operation, ...]:
    return (gemm(1, hidden, labels),) if labels and end == "classify" else ()
