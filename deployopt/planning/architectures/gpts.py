"""Decoders in GPT's line: LayerNorm with bias, a feed-forward of two matrices.

In: the config of one family. Out: its architecture. Learned positions are lookup tables.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.keys import LAYERS, Keys, Readers
from deployopt.planning.architectures.llamas import Defaults, every_layer_slides, sized

GPT2: Final = Defaults(
    vocabulary=50257, hidden=768, layers=12, heads=12, ffn=0, positions=1024, tied=True
)
_GPTJ: Final = Defaults(vocabulary=50400, layers=28, heads=16, ffn=0)
ROWS_BEFORE: Final = 2
"""Positions that stand before a text's first."""


def plain(keys: Keys, defaults: Defaults, model_type: str) -> Decoder:
    """GPT's switches: four times as wide a feed-forward where the config names no width."""
    decoder = sized(keys, defaults, model_type)
    return msgspec.structs.replace(
        decoder,
        ffn=decoder.ffn or 4 * decoder.hidden,
        gated=False,
        rms=False,
        norm_width=2,
        ffn_bias=True,
    )


def gpt2_keys(keys: Keys) -> Keys:
    """GPT-2's own names."""
    return keys.named(
        hidden_size="n_embd",
        num_hidden_layers="n_layer",
        num_attention_heads="n_head",
        intermediate_size="n_inner",
        max_position_embeddings="n_positions",
    )


def learned(decoder: Decoder) -> Decoder:
    """With a table of positions."""
    return msgspec.structs.replace(decoder, tables=(decoder.positions or 0) * decoder.hidden)


def gpt2(keys: Keys) -> Architecture:
    """GPT-2, DistilGPT-2, DialoGPT, Cerebras-GPT."""
    named = gpt2_keys(keys)
    decoder = learned(plain(named, GPT2, "gpt2"))
    return assemble(named, msgspec.structs.replace(decoder, qkv_bias=True, out_bias=True))


def gpt_bigcode(keys: Keys) -> Architecture:
    """StarCoder 1 and SantaCoder: GPT-2 with one key-value head for all."""
    named = gpt2_keys(keys)
    decoder = learned(plain(named, GPT2, "gpt_bigcode"))
    shared = named.flag("multi_query", default=True)
    return assemble(
        named,
        msgspec.structs.replace(
            decoder, kv_heads=1 if shared else decoder.heads, qkv_bias=True, out_bias=True
        ),
    )


def gpt_neo(keys: Keys) -> Architecture:
    """GPT-Neo: every second layer looks back on a window."""
    named = keys.named(num_hidden_layers="num_layers", num_attention_heads="num_heads")
    defaults = Defaults(
        vocabulary=50257, hidden=2048, layers=24, heads=16, ffn=0, positions=2048, tied=True
    )
    decoder = learned(plain(named, defaults, "gpt_neo"))
    return assemble(
        named,
        msgspec.structs.replace(
            decoder,
            out_bias=True,
            window=keys.whole("window_size", 256),
            window_layers=_local_layers(keys, decoder.layers),
        ),
    )


def _local_layers(keys: Keys, layers: int) -> int:
    """From `attention_types`: [[["global", "local"], 12]] is 12 times one of each."""
    local = 0
    for entry in keys.items("attention_types"):
        if not isinstance(entry, list | tuple) or len(entry) != 2:  # noqa: PLR2004 -- kinds, times
            raise keys.wrong("attention_types", "a list of [kinds, times] pairs")
        kinds, times = entry
        if not isinstance(kinds, list | tuple) or not isinstance(times, int):
            raise keys.wrong("attention_types", "a list of [kinds, times] pairs")
        local += sum(kind == "local" for kind in kinds) * times
    if not keys.has("attention_types"):
        return layers // 2
    if not 0 <= local <= layers:
        raise keys.wrong("attention_types", f"kinds for {layers} layers")
    return local


def gptj(keys: Keys) -> Architecture:
    """GPT-J and CodeGen: one norm a layer, a bias on the head."""
    named = gpt2_keys(keys)
    decoder = plain(named, _GPTJ, keys.text("model_type", "gptj"))
    return assemble(named, msgspec.structs.replace(decoder, norms=1, head_bias=True))


def gpt_neox(keys: Keys) -> Architecture:
    """GPT-NeoX, Pythia, RedPajama, Dolly."""
    defaults = Defaults(vocabulary=50432, hidden=6144, layers=44, heads=64, ffn=24576)
    decoder = plain(keys, defaults, "gpt_neox")
    bias = keys.flag("attention_bias", default=True)
    return assemble(keys, msgspec.structs.replace(decoder, qkv_bias=bias, out_bias=bias))


def opt(keys: Keys) -> Architecture:
    """OPT: the smallest but one has a narrow lookup table and its norms behind."""
    named = keys.named(intermediate_size="ffn_dim")
    defaults = Defaults(
        vocabulary=50272, hidden=768, layers=12, heads=12, ffn=3072, positions=2048, tied=True
    )
    decoder = plain(named, defaults, "opt")
    bias = keys.flag("enable_bias", default=True)
    width = keys.whole("word_embed_proj_dim", decoder.hidden)
    before = keys.flag("do_layer_norm_before", default=True)
    removed = keys.flag("_remove_final_layer_norm", default=False)
    rows = (decoder.positions or 0) + ROWS_BEFORE
    return assemble(
        named,
        msgspec.structs.replace(
            decoder,
            qkv_bias=bias,
            out_bias=bias,
            ffn_bias=bias,
            norm_width=2 if keys.flag("layer_norm_elementwise_affine", default=True) else 0,
            final_norms=1 if before and not removed else 0,
            embedding_width=width,
            tables=rows * decoder.hidden,
            extra=0 if width == decoder.hidden else 2 * width * decoder.hidden,
        ),
    )


def bloom(keys: Keys) -> Architecture:
    """BLOOM: ALiBi, and a norm behind the lookup table."""
    named = keys.named(
        hidden_size="n_embed",
        num_hidden_layers="n_layer",
        num_attention_heads="n_head",
        max_position_embeddings="seq_length",
    )
    defaults = Defaults(
        vocabulary=250880, hidden=64, layers=2, heads=8, ffn=0, positions=2048, tied=True
    )
    decoder = plain(named, defaults, "bloom")
    return assemble(
        named, msgspec.structs.replace(decoder, qkv_bias=True, out_bias=True, final_norms=2)
    )


def falcon(keys: Keys) -> Architecture:
    """Falcon 7B, 40B, 180B and RW: one key-value head, or groups in the newer ones."""
    named = keys.named(
        hidden_size="n_embed",
        num_hidden_layers="n_layer",
        num_attention_heads="n_head",
        intermediate_size="ffn_hidden_size",
    )
    defaults = Defaults(vocabulary=65024, hidden=4544, heads=71, ffn=0, tied=True)
    decoder = plain(named, defaults, "falcon")
    bias = keys.flag("bias", default=False)
    newer = keys.flag("new_decoder_architecture", default=False)
    return assemble(
        named,
        msgspec.structs.replace(
            decoder,
            kv_heads=_falcon_kv_heads(keys, decoder.heads, newer=newer),
            qkv_bias=bias,
            out_bias=bias,
            ffn_bias=bias,
            norms=_falcon_norms(keys, newer=newer),
        ),
    )


def _falcon_kv_heads(keys: Keys, heads: int, *, newer: bool) -> int:
    if not newer:
        return 1 if keys.flag("multi_query", default=True) else heads
    named = keys.named(num_kv_heads=("num_kv_heads", "n_head_kv"))
    kv_heads = named.whole("num_kv_heads", heads, most=heads)
    if heads % kv_heads:
        raise keys.wrong(named.also["num_kv_heads"], f"a divisor of the {heads} attention heads")
    return kv_heads


def _falcon_norms(keys: Keys, *, newer: bool) -> int:
    if newer:
        return keys.whole("num_ln_in_parallel_attn", 2, most=2)
    return 1 if keys.flag("parallel_attn", default=True) else 2


def phi(keys: Keys) -> Architecture:
    """Phi 1 and 2: one norm a layer, a bias on the head."""
    defaults = Defaults(vocabulary=51200, hidden=2048, layers=24, ffn=8192)
    decoder = plain(keys, defaults, "phi")
    normed = keys.flag("qk_layernorm", default=False)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            norms=1,
            qkv_bias=True,
            out_bias=True,
            head_bias=True,
            layer_extra=4 * decoder.head_dim if normed else 0,
        ),
    )


def starcoder2(keys: Keys) -> Architecture:
    """StarCoder 2."""
    defaults = Defaults(
        vocabulary=49152,
        hidden=3072,
        layers=30,
        heads=24,
        kv_heads=2,
        ffn=12288,
        positions=4096,
        tied=True,
    )
    decoder = every_layer_slides(keys, plain(keys, defaults, "starcoder2"))
    bias = keys.flag("use_bias", default=True)
    return assemble(
        keys, msgspec.structs.replace(decoder, qkv_bias=bias, out_bias=bias, ffn_bias=bias)
    )


def mpt(keys: Keys) -> Architecture:
    """MPT: ALiBi, norms without bias."""
    named = keys.named(
        hidden_size="d_model",
        num_hidden_layers="n_layers",
        num_attention_heads="n_heads",
        max_position_embeddings="max_seq_len",
    )
    defaults = Defaults(
        vocabulary=50368, hidden=2048, layers=24, heads=16, ffn=0, positions=2048, tied=True
    )
    decoder = plain(named, defaults, "mpt")
    wider = keys.whole("expansion_ratio", 4, most=LAYERS)
    return assemble(
        named,
        msgspec.structs.replace(decoder, ffn=wider * decoder.hidden, ffn_bias=False, norm_width=1),
    )


GPTS: Final[Readers] = {
    "gpt2": gpt2,
    "gpt_bigcode": gpt_bigcode,
    "gpt_neo": gpt_neo,
    "gptj": gptj,
    "codegen": gptj,
    "gpt_neox": gpt_neox,
    "opt": opt,
    "bloom": bloom,
    "falcon": falcon,
    "RefinedWeb": falcon,
    "RefinedWebModel": falcon,
    "phi": phi,
    "starcoder2": starcoder2,
    "mpt": mpt,
}
