"""DeepSeek's decoders: keys and values kept as one latent vector, shared and routed experts.

A layer keeps `kv_lora_rank` + `qk_rope_head_dim` elements of a token, whatever its heads.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.llamas import Defaults, sized


class Ranks(msgspec.Struct, frozen=True, kw_only=True):
    """Widths of a latent attention; `query` None means queries straight from the hidden state."""

    query: int | None
    kept: int
    rope: int
    plain: int
    value: int


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """A family's experts where its config is silent."""

    experts: int
    used: int
    width: int
    shared: int
    dense: int


def ranks(keys: Keys) -> Ranks:
    """The widths under DeepSeek's keys."""
    return Ranks(
        query=keys.optional("q_lora_rank", 1536, most=HEADS),
        kept=keys.whole("kv_lora_rank", 512, most=HEADS),
        rope=keys.whole("qk_rope_head_dim", 64, most=HEADS),
        plain=keys.whole("qk_nope_head_dim", 128, most=HEADS),
        value=keys.whole("v_head_dim", 128, most=HEADS),
    )


def narrowed(decoder: Decoder, ranks: Ranks, *, bias: bool) -> Decoder:
    """The same with attention through these widths."""
    return msgspec.structs.replace(
        decoder,
        attention=_attention_parameters(decoder, ranks, bias=bias),
        head_dim=ranks.plain + ranks.rope,
        kv_elements=ranks.kept + ranks.rope,
    )


def _attention_parameters(decoder: Decoder, ranks: Ranks, *, bias: bool) -> int:
    """Down to the latent vectors, their norms, and up to the heads."""
    hidden, heads = decoder.hidden, decoder.heads
    queries = heads * (ranks.plain + ranks.rope)
    if ranks.query is None:
        asked = linear(hidden, queries, bias=False)
    else:
        asked = linear(hidden, ranks.query, bias=bias) + ranks.query
        asked += linear(ranks.query, queries, bias=False)
    kept = linear(hidden, ranks.kept + ranks.rope, bias=bias) + ranks.kept
    kept += linear(ranks.kept, heads * (ranks.plain + ranks.value), bias=False)
    return asked + kept + linear(heads * ranks.value, hidden, bias=bias)


def _deepseek(keys: Keys, decoder: Decoder, defaults: Routing) -> Architecture:
    widths = ranks(keys)
    experts = keys.whole("n_routed_experts", defaults.experts, most=HEADS)
    used = keys.whole("num_experts_per_tok", defaults.used, most=HEADS)
    if used > experts:
        raise keys.wrong("num_experts_per_tok", f"at most the {experts} experts")
    width = keys.whole("moe_intermediate_size", defaults.width)
    dense = keys.whole("first_k_dense_replace", defaults.dense, least=0, most=LAYERS)
    bias = keys.flag("attention_bias", default=False)
    found = assemble(
        keys,
        msgspec.structs.replace(
            narrowed(decoder, widths, bias=bias),
            experts=experts,
            experts_used=used,
            expert_ffn=width,
            shared_ffn=width * keys.whole("n_shared_experts", defaults.shared, least=0, most=HEADS),
            dense_layers=min(dense, decoder.layers),
        ),
    )
    return with_ranks(found, widths)


def with_ranks(found: Architecture, widths: Ranks) -> Architecture:
    """The same, its one stack attending through these widths."""
    stack = msgspec.structs.replace(
        found.stacks[0],
        query_latent=widths.query or 0,
        rope_dim=widths.rope,
        value_dim=widths.value,
    )
    return msgspec.structs.replace(found, stacks=(stack,))


def deepseek_v2(keys: Keys) -> Architecture:
    """DeepSeek V2 and V2 Lite."""
    # The head width of the config is the rotary part alone.
    decoder = sized(_no_head_dim(keys), Defaults(vocabulary=102400, head_dim=128), "deepseek_v2")
    routing = Routing(experts=64, used=6, width=1407, shared=2, dense=0)
    return _deepseek(keys, decoder, routing)


def deepseek_v3(keys: Keys) -> Architecture:
    """DeepSeek V3 and R1, Kimi K2; the layer that predicts a second token is left out."""
    defaults = Defaults(
        vocabulary=129280,
        hidden=7168,
        layers=61,
        heads=128,
        head_dim=128,
        ffn=18432,
        positions=4096,
    )
    decoder = sized(_no_head_dim(keys), defaults, keys.text("model_type", "deepseek_v3"))
    routing = Routing(experts=256, used=8, width=2048, shared=1, dense=3)
    return _deepseek(keys, decoder, routing)


def _no_head_dim(keys: Keys) -> Keys:
    return keys.named(head_dim="qk_nope_head_dim", num_key_value_heads="num_attention_heads")


LATENT: Final[Readers] = {
    "deepseek_v2": deepseek_v2,
    "deepseek_v3": deepseek_v3,
    "kimi_k2": deepseek_v3,
}
