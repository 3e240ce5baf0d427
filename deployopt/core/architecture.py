"""A model's shape as its config tells it: what memory, operations and advice are worked out from.

Sizes are counts of elements; nothing here is measured. A stack is a run of like layers; a model has
one (BERT, Llama, ViT), two (T5, Whisper, CLIP) or none (a convolution net, whose operators are
given as they are).
"""

import msgspec

from deployopt.core.plan import Operation


class Stack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Transformer layers of one kind that a request passes through.

    `kv_heads` < `heads` is grouped-query attention. `gated`: the feed-forward has three matrices
    (SwiGLU, GeGLU), else two. `causal` stacks generate and keep keys and values.
    """

    name: str
    """encoder, decoder, vision, text or audio."""
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    """Width of a dense feed-forward."""
    gated: bool = False
    causal: bool = False
    cross: bool = False
    """Attends to the stack before it as well."""
    rms: bool = False
    """RMSNorm, which is computed in fp32, rather than LayerNorm."""
    tokens: int | None = None
    """Positions a request always has (patches, audio frames); None: as long as the text."""
    window: int | None = None
    """Tokens that a sliding-window layer looks back on."""
    window_layers: int = 0
    experts: int = 0
    """Routed experts in a mixture-of-experts layer; 0 where every layer is dense."""
    experts_used: int = 0
    expert_ffn: int = 0
    shared_ffn: int = 0
    """Width of the experts that every token passes, together."""
    dense_layers: int = 0
    """Layers with a dense feed-forward although others have experts."""
    kv_elements: int | None = None
    """Elements kept a token and layer where they are not 2 x kv_heads x head_dim (latent)."""
    query_latent: int = 0
    """Width that latent attention makes its queries from; 0: straight from the input."""
    rope_dim: int = 0
    """Of `head_dim`, what carries the position apart from a latent key."""
    value_dim: int = 0
    """Width of a head's values where it is not `head_dim`."""
    relative: int = 0
    """Distances that two more products compare queries and keys with (DeBERTa)."""
    bottleneck: int = 0
    """Width inside a layer that narrows its input and widens its output (MobileBERT); else 0."""
    feed_forwards: int = 1
    """Feed-forwards a layer, one after another."""
    shared_weights: bool = False
    """All layers have the same weights (ALBERT)."""
    attention_layers: int | None = None
    """Layers that attend, where others do not; None: all of them."""
    state_layers: int = 0
    """Layers that carry a state of constant size from token to token (Mamba)."""
    state_elements: int = 0
    """Of that state, in one layer of one sequence."""
    state_parameters: int = 0
    """Of what such a layer has in place of attention, or beside it."""

    @property
    def attending(self) -> int:
        """Layers that keep keys and values."""
        return self.layers if self.attention_layers is None else self.attention_layers

    @property
    def kept(self) -> int:
        """Elements of keys and values that one layer keeps of one token."""
        return 2 * self.kv_heads * self.head_dim if self.kv_elements is None else self.kv_elements


class Architecture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model without its weights. All parameters are counted once, tied ones too."""

    model_type: str
    stacks: tuple[Stack, ...] = ()
    operations: tuple[Operation, ...] = ()
    """Of one item (an image, 30 s of sound) outside the stacks: convolutions, stems, heads."""
    activations: int = 0
    """Elements alive at once in `operations`, for one item."""
    score_elements: int = 0
    """Of one item, attention's scores alive at once where a graph writes them out, not counted in
    `activations`."""
    cpu_bytes: int = 0
    """Of one item, what ONNX Runtime holds on a CPU beside weights and `activations`: of a pipeline
    of graphs convolutions' weights packed anew, attention's scores, each graph's own arena."""
    vocabulary: int = 0
    positions: int | None = None
    """The longest context that the config allows."""
    learned_positions: bool = False
    """Positions have a table, which no text goes beyond; rotary and relative ones have none."""
    labels: int = 0
    """Outputs of a classification head; 0 without one."""
    tied: bool = False
    """The output head is the input embedding."""
    image_size: int | None = None
    embedding_width: int = 0
    """Width that a projection brings to the first stack's; 0 where there is no projection."""
    parameters: int
    embedding_parameters: int = 0
    """Lookup tables; with `tied`, the head as well."""
    head_parameters: int = 0
    """An output head over the vocabulary of its own."""
    expert_parameters: int = 0
    """In routed experts, of which a token uses `experts_used` of `experts`."""
    dtype: str | None = None
    """As the config or the weights say: float32, bfloat16, ..."""
    stored: dict[str, int] = {}
    """Parameters by dtype in the weights' headers; empty where only a config was read."""
    stored_bytes: int | None = None
    basis: str
    """E.g. `config.json and the headers of 4 safetensors files`."""

    @property
    def active_parameters(self) -> int:
        """Parameters that one token passes through."""
        used = next((s.experts_used / s.experts for s in self.stacks if s.experts), 1.0)
        return self.parameters - round(self.expert_parameters * (1 - used))

    @property
    def longest(self) -> int | None:
        """The most tokens that can be run at all; None where nothing in the model says."""
        return self.positions if self.learned_positions else None

    def within(self, tokens: int) -> int:
        """So many tokens, or as many as can be run at all."""
        return tokens if self.longest is None else min(tokens, self.longest)

    @property
    def generates(self) -> bool:
        """Whether it makes its output token by token."""
        return any(stack.causal for stack in self.stacks)
