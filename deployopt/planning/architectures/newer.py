"""Newer dense decoders: Ernie 4.5, Seed, Apertus, Helium, Arcee, Hunyuan, Nemotron, Gemma 3n.

In: the config of one family. Out: its architecture.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.keys import LAYERS, VOCABULARY, Keys, Readers
from deployopt.planning.architectures.llamas import (
    Defaults,
    every_layer_slides,
    patterned,
    sized,
    with_biases,
)

_GEMMA3N: Final = Defaults(
    vocabulary=262400,
    hidden=2048,
    layers=35,
    heads=8,
    kv_heads=2,
    head_dim=256,
    ffn=16384,
    positions=32768,
    tied=True,
)


def ernie(keys: Keys) -> Architecture:
    """Ernie 4.5 dense."""
    usual = Defaults(
        vocabulary=103424,
        hidden=1024,
        layers=18,
        heads=16,
        kv_heads=2,
        head_dim=128,
        ffn=3072,
        positions=131072,
        tied=True,
    )
    decoder = sized(keys, usual, "ernie4_5")
    bias = keys.flag("use_bias", default=False)
    return assemble(
        keys, msgspec.structs.replace(decoder, qkv_bias=bias, out_bias=bias, ffn_bias=bias)
    )


def seed_oss(keys: Keys) -> Architecture:
    """Seed-OSS: biases on queries, keys and values."""
    usual = Defaults(
        vocabulary=155136,
        layers=64,
        heads=80,
        kv_heads=8,
        head_dim=128,
        ffn=27648,
        positions=524288,
    )
    return assemble(
        keys,
        msgspec.structs.replace(
            sized(keys, usual, "seed_oss"),
            qkv_bias=keys.flag("attention_bias", default=True),
            out_bias=keys.flag("attention_out_bias", default=False),
            ffn_bias=keys.flag("mlp_bias", default=False),
        ),
    )


def apertus(keys: Keys) -> Architecture:
    """Apertus: two matrices a feed-forward, whose activation has two numbers to learn."""
    usual = Defaults(vocabulary=131072, ffn=14336, positions=65536)
    decoder = with_biases(keys, sized(keys, usual, "apertus"))
    extra = 2 * decoder.head_dim + 2
    return assemble(
        keys, msgspec.structs.replace(decoder, gated=False, ffn_bias=False, layer_extra=extra)
    )


def helium(keys: Keys) -> Architecture:
    """Helium: Llama without a bias behind the heads."""
    usual = Defaults(
        vocabulary=48000, hidden=2560, layers=24, heads=20, head_dim=128, ffn=7040, positions=4096
    )
    decoder = with_biases(keys, sized(keys, usual, "helium"))
    hidden, wide = decoder.hidden, decoder.heads + 2 * decoder.kv_heads
    own = linear(hidden, wide * decoder.head_dim, bias=decoder.qkv_bias) + hidden * hidden
    return assemble(keys, msgspec.structs.replace(decoder, attention=own))


def arcee(keys: Keys) -> Architecture:
    """Arcee: Llama with two matrices a feed-forward."""
    usual = Defaults(hidden=2560, ffn=18432, positions=4096)
    decoder = with_biases(keys, sized(keys, usual, "arcee"))
    return assemble(keys, msgspec.structs.replace(decoder, gated=False))


def hunyuan(keys: Keys) -> Architecture:
    """Hunyuan 1 dense: norms of queries and keys."""
    usual = Defaults(vocabulary=290943)
    decoder = with_biases(keys, sized(keys, usual, "hunyuan_v1_dense"))
    extra = 2 * decoder.head_dim
    return assemble(keys, msgspec.structs.replace(decoder, ffn_bias=False, layer_extra=extra))


def ministral(keys: Keys) -> Architecture:
    """Ministral and Ministral 3: Mistral with sizes of its own."""
    model_type = keys.text("model_type", "ministral3")
    third = model_type == "ministral3"
    usual = Defaults(
        vocabulary=131072 if third else 32000,
        layers=34 if third else 32,
        kv_heads=8,
        head_dim=128 if third else None,
        ffn=14336,
        positions=262144 if third else 131072,
    )
    window = None if third else 4096
    return assemble(keys, every_layer_slides(keys, sized(keys, usual, model_type), default=window))


def nemotron(keys: Keys) -> Architecture:
    """Nemotron and Minitron: LayerNorms, two matrices a feed-forward."""
    usual = Defaults(
        vocabulary=256000, hidden=6144, heads=48, head_dim=128, ffn=24576, positions=4096
    )
    decoder = with_biases(keys, sized(keys, usual, "nemotron"))
    return assemble(keys, msgspec.structs.replace(decoder, gated=False, rms=False, norm_width=2))


def gemma3n(keys: Keys) -> Architecture:
    """Gemma 3n's text model: four rows of hidden states, a table of words for every layer."""
    widths = keys.items("intermediate_size") if _is_list(keys) else ()
    if widths:
        if len(set(map(str, widths))) > 1:
            raise keys.wrong("intermediate_size", "one width for all layers")
        keys = msgspec.structs.replace(keys, values={**keys.values, "intermediate_size": widths[0]})
    decoder = with_biases(keys, sized(keys, _GEMMA3N, "gemma3n_text"))
    decoder = patterned(keys, decoder, every=5, default=512)
    hidden, layers = decoder.hidden, decoder.layers
    narrow = keys.whole("hidden_size_per_layer_input", 256)
    rows = keys.whole("altup_num_inputs", 4, most=LAYERS)
    rank = keys.whole("laurel_rank", 64)
    words = keys.whole("vocab_size_per_layer_input", 262144, most=VOCABULARY)
    sharing = keys.whole("num_kv_shared_layers", 15, least=0, most=layers)
    own = rows * rows * (1 + rows) + rows * hidden + 2 * hidden
    own += 2 * hidden * rank + hidden + 2 * hidden * narrow + hidden + decoder.head_dim
    extra = hidden * layers * narrow + narrow + 2 * (rows - 1) * hidden * hidden
    extra -= sharing * _keys_and_values(decoder)
    decoder = msgspec.structs.replace(
        decoder,
        norms=4,
        layer_extra=own + decoder.head_dim,
        tables=words * layers * narrow,
        extra=extra,
        ffn_bias=False,
    )
    note = f"keys and values are counted for all layers, although {sharing} use others'"
    return msgspec.structs.replace(assemble(keys, decoder), basis=note if sharing else "")


def _is_list(keys: Keys) -> bool:
    return isinstance(keys.values.get("intermediate_size"), list | tuple)


def _keys_and_values(decoder: Decoder) -> int:
    kept = 2 * decoder.kv_heads * decoder.head_dim
    return linear(decoder.hidden, kept, bias=decoder.qkv_bias) + decoder.head_dim


NEWER: Final[Readers] = {
    "ernie4_5": ernie,
    "seed_oss": seed_oss,
    "apertus": apertus,
    "helium": helium,
    "arcee": arcee,
    "hunyuan_v1_dense": hunyuan,
    "ministral": ministral,
    "ministral3": ministral,
    "nemotron": nemotron,
    "gemma3n_text": gemma3n,
}
