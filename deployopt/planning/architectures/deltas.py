"""Hybrids of attention with linear attention or short convolutions: Qwen 3 Next and 3.5, LFM 2,
RecurrentGemma, MiniMax.

In: the config of one family. Out: its architecture; layers without keys and values keep a state.
"""  # noqa: D205 -- a list of names

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.experts import routed, sparse_steps
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.llamas import Defaults, sized
from deployopt.planning.architectures.recurrent import Mixer, listed, mixed

_QWEN: Final = Defaults(
    vocabulary=248320, heads=16, kv_heads=4, head_dim=256, ffn=12288, positions=32768
)
_GROUP: Final = 256


def _delta(keys: Keys, decoder: Decoder) -> Decoder:
    """Three of four layers are gated delta nets; the others attend behind a gate."""
    key = keys.whole("linear_num_key_heads", 16, most=HEADS)
    value = keys.whole("linear_num_value_heads", 32, most=HEADS)
    narrow = keys.whole("linear_key_head_dim", 128, most=HEADS)
    width = keys.whole("linear_value_head_dim", 128, most=HEADS)
    kernel = keys.whole("linear_conv_kernel_dim", 4, most=HEADS)
    hidden, made = decoder.hidden, value * width
    across = 2 * key * narrow + made
    own = 2 * value + across * kernel + width + linear(made, hidden, bias=False)
    own += linear(hidden, across + made + 2 * value, bias=False)
    mixer = Mixer(parameters=own, elements=value * narrow * width + across * kernel)
    inner, kept = decoder.heads * decoder.head_dim, decoder.kv_heads * decoder.head_dim
    bias = keys.flag("attention_bias", default=False)
    attention = linear(hidden, 2 * inner + 2 * kept, bias=bias) + linear(inner, hidden, bias=bias)
    decoder = msgspec.structs.replace(decoder, attention=attention + 2 * decoder.head_dim)
    found = listed(keys, "layer_types", decoder.layers)
    period = keys.whole("full_attention_interval", 4, most=LAYERS)
    return mixed(decoder, mixer, attending=decoder.layers // period if found is None else found)


def qwen3_next(keys: Keys) -> Architecture:
    """Qwen 3 Next: many small experts and one for all tokens."""
    usual = msgspec.structs.replace(
        _QWEN, vocabulary=151936, hidden=2048, layers=48, kv_heads=2, ffn=5632
    )
    decoder = sparse_steps(keys, sized(keys, usual, "qwen3_next"))
    return _with_experts(keys, decoder, experts=512, used=10)


def qwen3_5(keys: Keys) -> Architecture:
    """Qwen 3.5's dense text model."""
    decoder = sized(keys, _QWEN, keys.text("model_type", "qwen3_5_text"))
    return assemble(keys, _delta(keys, decoder))


def qwen3_5_moe(keys: Keys) -> Architecture:
    """Qwen 3.5's text model with experts."""
    usual = msgspec.structs.replace(_QWEN, hidden=2048, layers=40, kv_heads=2, ffn=512)
    decoder = sized(keys, usual, keys.text("model_type", "qwen3_5_moe_text"))
    return _with_experts(keys, decoder, experts=256, used=8)


def _with_experts(keys: Keys, decoder: Decoder, *, experts: int, used: int) -> Architecture:
    width = keys.whole("moe_intermediate_size", 512)
    decoder = routed(keys, _delta(keys, decoder), experts=experts, used=used, width=width)
    shared = keys.whole("shared_expert_intermediate_size", 512, least=0)
    return assemble(
        keys, msgspec.structs.replace(decoder, shared_ffn=shared, router_extra=decoder.hidden)
    )


def lfm2(keys: Keys) -> Architecture:
    """LFM 2: short convolutions between two gates, and a few layers that attend."""
    usual = Defaults(
        vocabulary=65536, hidden=2560, kv_heads=8, ffn=12288, positions=128000, tied=True
    )
    named = keys.named(
        intermediate_size=("block_ff_dim", "intermediate_size"),
        tie_word_embeddings=("tie_embedding", "tie_word_embeddings"),
    )
    decoder = sized(named, usual, "lfm2")
    decoder = msgspec.structs.replace(decoder, ffn=_lfm_width(keys, decoder.ffn))
    hidden, bias = decoder.hidden, keys.flag("conv_bias", default=False)
    kernel = keys.whole("conv_L_cache", 3, most=HEADS)
    own = linear(hidden, 3 * hidden, bias=bias) + linear(hidden, hidden, bias=bias)
    own += hidden * kernel + (hidden if bias else 0)
    attention = decoder.attention_parameters() + 2 * decoder.head_dim
    decoder = msgspec.structs.replace(decoder, attention=attention)
    mixer = Mixer(parameters=own, elements=hidden * kernel)
    return assemble(named, mixed(decoder, mixer, attending=_lfm_attending(keys, decoder.layers)))


def _lfm_width(keys: Keys, ffn: int) -> int:
    if not keys.flag("block_auto_adjust_ff_dim", default=True):
        return ffn
    wide = int(keys.number("block_ffn_dim_multiplier", 1, least=0.01, most=64) * int(2 * ffn / 3))
    step = keys.whole("block_multiple_of", _GROUP)
    return step * max(1, -(-wide // step))


def _lfm_attending(keys: Keys, layers: int) -> int:
    found = listed(keys, "layer_types", layers)
    if found is not None:
        return found
    if not keys.has("full_attn_idxs"):
        return layers
    chosen = set(keys.wholes("full_attn_idxs", least=0, most=LAYERS))
    return sum(layer in chosen for layer in range(layers))


def recurrent_gemma(keys: Keys) -> Architecture:
    """RecurrentGemma and Griffin: two of three layers are gated linear recurrences."""
    usual = Defaults(
        vocabulary=256000,
        hidden=2560,
        layers=26,
        heads=10,
        ffn=7680,
        positions=8192,
        tied=True,
    )
    decoder = sized(keys, usual, "recurrent_gemma")
    hidden, heads = decoder.hidden, decoder.heads
    width = keys.whole("lru_width", hidden)
    if width % heads:
        raise keys.wrong("lru_width", f"a multiple of the {heads} heads")
    kernel = keys.whole("conv1d_width", 4, most=HEADS)
    own = 2 * linear(hidden, width) + linear(width, hidden) + width * (kernel + 1)
    own += width + 2 * (width * (width // heads) + width)
    kinds = keys.texts("block_types") or ("recurrent", "recurrent", "attention")
    attending = sum(kinds[layer % len(kinds)] == "attention" for layer in range(decoder.layers))
    decoder = msgspec.structs.replace(
        decoder,
        ffn=max(1, decoder.ffn // 2),
        ffn_bias=True,
        out_bias=True,
        qkv_bias=keys.flag("attention_bias", default=False),
        window=keys.whole("attention_window_size", 2048),
        window_layers=attending,
    )
    mixer = Mixer(parameters=own, elements=width * (1 + kernel))
    return assemble(keys, mixed(decoder, mixer, attending=attending))


def minimax(keys: Keys) -> Architecture:
    """MiniMax Text 01: lightning attention in most layers, experts in all."""
    usual = Defaults(kv_heads=8, ffn=14336, positions=131072)
    decoder = sized(keys, usual, "minimax")
    inner = decoder.heads * decoder.head_dim
    own = inner + linear(decoder.hidden, 4 * inner, bias=False)
    own += linear(inner, decoder.hidden, bias=False)
    attending = listed(keys, "layer_types", decoder.layers)
    if attending is None:
        attending = _minimax_attending(keys, decoder.layers)
    mixer = Mixer(parameters=own, elements=inner * decoder.head_dim)
    decoder = mixed(decoder, mixer, attending=attending)
    return assemble(keys, routed(keys, decoder, experts=8, used=2, width=decoder.ffn))


def _minimax_attending(keys: Keys, layers: int) -> int:
    """From `attn_type_list`, whose ones attend; else every second layer."""
    kinds = keys.wholes("attn_type_list", least=0, most=1)
    if kinds and len(kinds) != layers:
        raise keys.wrong("attn_type_list", f"a list of {layers} entries, one a layer,")
    return sum(kinds) if kinds else -(-layers // 2)


DELTAS: Final[Readers] = {
    "qwen3_next": qwen3_next,
    "qwen3_5_text": qwen3_5,
    "qwen3_5_moe_text": qwen3_5_moe,
    "lfm2": lfm2,
    "recurrent_gemma": recurrent_gemma,
    "minimax": minimax,
}
