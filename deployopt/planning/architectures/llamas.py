"""Decoders in Llama's line: pre-norm, rotary positions, gated feed-forward.

In: the config of one family. Out: its architecture. Keys that a config leaves out have the
family's defaults, as published with transformers.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.heads import heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, TOKENS, VOCABULARY, Keys, Readers

WINDOWED: Final = frozenset({"sliding_attention", "chunked_attention"})


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """A family's sizes where its config is silent; no `kv_heads` means as many as heads."""

    vocabulary: int = 32000
    hidden: int = 4096
    layers: int = 32
    heads: int = 32
    kv_heads: int | None = None
    head_dim: int | None = None
    ffn: int = 11008
    positions: int = 2048
    tied: bool = False


def sized(keys: Keys, defaults: Defaults, model_type: str) -> Decoder:
    """The sizes under the usual keys, with Llama's switches."""
    hidden = keys.whole("hidden_size", defaults.hidden)
    heads = keys.whole("num_attention_heads", defaults.heads, most=HEADS)
    head_dim = keys.optional("head_dim", defaults.head_dim, most=HEADS)
    return Decoder(
        model_type=model_type,
        vocabulary=keys.whole("vocab_size", defaults.vocabulary, most=VOCABULARY),
        hidden=hidden,
        layers=keys.whole("num_hidden_layers", defaults.layers, most=LAYERS),
        heads=heads,
        kv_heads=_kv_heads(keys, defaults, heads),
        head_dim=head_dim or heads_divide(keys, hidden, heads),
        ffn=keys.whole("intermediate_size", defaults.ffn),
        positions=keys.whole("max_position_embeddings", defaults.positions, most=TOKENS),
        tied=keys.flag("tie_word_embeddings", default=defaults.tied),
    )


def _kv_heads(keys: Keys, defaults: Defaults, heads: int) -> int:
    name = keys.also.get("num_key_value_heads", "num_key_value_heads")
    silent = heads if defaults.kv_heads is None or name in keys.values else defaults.kv_heads
    kv_heads = keys.whole("num_key_value_heads", silent, most=HEADS)
    if kv_heads > heads or heads % kv_heads:
        raise keys.wrong(name, f"a divisor of the {heads} attention heads")
    return kv_heads


def listed_windows(keys: Keys, layers: int) -> int | None:
    """How many layers `layer_types` calls sliding; None where it is not given."""
    types = keys.texts("layer_types")
    if not types:
        return None
    if len(types) != layers:
        raise keys.wrong("layer_types", f"a list of {layers} entries, one a layer,")
    return sum(name in WINDOWED for name in types)


def llama(keys: Keys) -> Architecture:
    """Llama 1 to 3, Code Llama, SmolLM, TinyLlama, Yi, and all that took its format."""
    return assemble(keys, with_biases(keys, sized(keys, Defaults(), "llama")))


def with_biases(keys: Keys, decoder: Decoder) -> Decoder:
    """With Llama's `attention_bias` (all four matrices) and `mlp_bias`."""
    bias = keys.flag("attention_bias", default=False)
    return msgspec.structs.replace(
        decoder,
        qkv_bias=bias,
        out_bias=bias,
        ffn_bias=keys.flag("mlp_bias", default=False),
    )


def granite(keys: Keys) -> Architecture:
    """Granite 3 dense: Llama with multipliers, which have no parameters."""
    return assemble(keys, with_biases(keys, sized(keys, Defaults(), "granite")))


def smollm3(keys: Keys) -> Architecture:
    """SmolLM3: Llama without rotary positions in every fourth layer."""
    defaults = Defaults(
        vocabulary=128256,
        hidden=2048,
        layers=36,
        heads=16,
        kv_heads=4,
        positions=32768,
        tied=True,
    )
    return assemble(keys, with_biases(keys, sized(keys, defaults, "smollm3")))


def mistral(keys: Keys) -> Architecture:
    """Mistral and its finetunes: every layer has the window, where there is one."""
    defaults = Defaults(kv_heads=8, ffn=14336, positions=131072)
    decoder = sized(keys, defaults, keys.text("model_type", "mistral"))
    return assemble(keys, every_layer_slides(keys, decoder, default=4096))


def every_layer_slides(keys: Keys, decoder: Decoder, default: int | None = None) -> Decoder:
    """With the config's `sliding_window` on all layers, or on those that `layer_types` names."""
    listed = listed_windows(keys, decoder.layers)
    return with_window(keys, decoder, decoder.layers if listed is None else listed, default)


def with_window(keys: Keys, decoder: Decoder, layers: int, default: int | None) -> Decoder:
    """With the config's `sliding_window` on so many layers."""
    window = keys.optional("sliding_window", default)
    return msgspec.structs.replace(decoder, window=window, window_layers=layers if window else 0)


def patterned(keys: Keys, decoder: Decoder, *, every: int, default: int | None) -> Decoder:
    """All layers but each `every`-th slide, unless `layer_types` says otherwise."""
    listed = listed_windows(keys, decoder.layers)
    period = keys.whole("sliding_window_pattern", every, most=LAYERS)
    layers = decoder.layers - decoder.layers // period if listed is None else listed
    return with_window(keys, decoder, layers, default)


def upper_layers_slide(keys: Keys, decoder: Decoder) -> Decoder:
    """Qwen's windows: none unless `use_sliding_window`, then from `max_window_layers` up."""
    if not keys.flag("use_sliding_window", default=False):
        return decoder
    listed = listed_windows(keys, decoder.layers)
    below = keys.whole("max_window_layers", 28, least=0, most=LAYERS)
    return with_window(
        keys, decoder, max(0, decoder.layers - below) if listed is None else listed, 4096
    )


def qwen(keys: Keys) -> Architecture:
    """Qwen 1: `intermediate_size` counts both halves of the gated feed-forward."""
    decoder = sized(
        keys.named(max_position_embeddings="seq_length"),
        Defaults(vocabulary=151936, ffn=22016, positions=8192),
        "qwen",
    )
    return assemble(keys, msgspec.structs.replace(decoder, qkv_bias=True, ffn=decoder.ffn // 2))


def qwen2(keys: Keys) -> Architecture:
    """Qwen 1.5, 2 and 2.5: biases on queries, keys and values."""
    defaults = Defaults(vocabulary=151936, kv_heads=32, ffn=22016, positions=32768)
    decoder = upper_layers_slide(keys, sized(keys, defaults, keys.text("model_type", "qwen2")))
    return assemble(keys, msgspec.structs.replace(decoder, qkv_bias=True))


def qwen3(keys: Keys) -> Architecture:
    """Qwen 3: norms of queries and keys in place of the biases."""
    defaults = Defaults(vocabulary=151936, kv_heads=32, head_dim=128, ffn=22016, positions=32768)
    decoder = upper_layers_slide(keys, sized(keys, defaults, keys.text("model_type", "qwen3")))
    decoder = with_biases(keys, decoder)
    return assemble(keys, msgspec.structs.replace(decoder, layer_extra=2 * decoder.head_dim))


def phi3(keys: Keys) -> Architecture:
    """Phi 3 and 4: Llama with merged matrices."""
    defaults = Defaults(vocabulary=32064, hidden=3072, ffn=8192, positions=4096)
    return assemble(keys, every_layer_slides(keys, sized(keys, defaults, "phi3")))


def glm(keys: Keys) -> Architecture:
    """GLM 4 in transformers' format; the later one has four norms a layer."""
    model_type = keys.text("model_type", "glm")
    defaults = Defaults(
        vocabulary=151552, layers=40, kv_heads=2, head_dim=128, ffn=13696, positions=131072
    )
    decoder = msgspec.structs.replace(
        sized(keys, defaults, model_type),
        qkv_bias=keys.flag("attention_bias", default=True),
        norms=4 if model_type == "glm4" else 2,
    )
    return assemble(keys, decoder)


LLAMAS: Final[Readers] = {
    "llama": llama,
    "granite": granite,
    "smollm3": smollm3,
    "mistral": mistral,
    "qwen": qwen,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "phi3": phi3,
    "glm": glm,
    "glm4": glm,
}
