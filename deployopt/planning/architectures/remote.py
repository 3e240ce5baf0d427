"""Decoders whose code came with their weights: ChatGLM, Baichuan, InternLM, MiniCPM, EXAONE 3.

In: the config of one family, under its own keys. Out: its architecture.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.decoder import assemble
from deployopt.planning.architectures.keys import HEADS, Keys, Readers
from deployopt.planning.architectures.latent import narrowed, ranks, with_ranks
from deployopt.planning.architectures.llamas import Defaults, sized, with_biases


def chatglm(keys: Keys) -> Architecture:
    """ChatGLM 2 and 3, GLM 4 9B: a few key-value heads, biases on queries, keys and values."""
    named = keys.named(
        num_hidden_layers="num_layers",
        vocab_size=("padded_vocab_size", "vocab_size"),
        intermediate_size="ffn_hidden_size",
        head_dim="kv_channels",
        max_position_embeddings="seq_length",
    )
    usual = Defaults(vocabulary=65024, layers=28, head_dim=128, ffn=13696)
    decoder = sized(named, usual, "chatglm")
    grouped = keys.flag("multi_query_attention", default=False)
    groups = keys.whole("multi_query_group_num", 1, most=HEADS)
    if decoder.heads % groups:
        raise keys.wrong("multi_query_group_num", f"a divisor of the {decoder.heads} heads")
    bias = keys.flag("add_bias_linear", default=False)
    norm = 1 if keys.flag("rmsnorm", default=True) else 2
    return assemble(
        named,
        msgspec.structs.replace(
            decoder,
            kv_heads=groups if grouped else decoder.heads,
            qkv_bias=bias or keys.flag("add_qkv_bias", default=False),
            out_bias=bias,
            ffn_bias=bias,
            norm_width=norm,
            rms=norm == 1,
            final_norms=1 if keys.flag("post_layer_norm", default=True) else 0,
        ),
    )


def baichuan(keys: Keys) -> Architecture:
    """Baichuan 1 and 2: Llama with one matrix for queries, keys and values."""
    named = keys.named(max_position_embeddings=("max_position_embeddings", "model_max_length"))
    usual = Defaults(vocabulary=125696, positions=4096)
    return assemble(named, sized(named, usual, "baichuan"))


def internlm(keys: Keys) -> Architecture:
    """InternLM 1, with biases on attention, and 2, without."""
    model_type = keys.text("model_type", "internlm2")
    second = model_type == "internlm2"
    usual = Defaults(vocabulary=92544 if second else 103168)
    bias = keys.flag("bias", default=not second)
    return assemble(
        keys,
        msgspec.structs.replace(sized(keys, usual, model_type), qkv_bias=bias, out_bias=bias),
    )


def minicpm(keys: Keys) -> Architecture:
    """MiniCPM 1 and 2: Llama with scaled embeddings, tied unless the config says otherwise."""
    return assemble(keys, with_biases(keys, sized(keys, Defaults(tied=True), "minicpm")))


def minicpm3(keys: Keys) -> Architecture:
    """MiniCPM 3: keys and values kept as one latent vector, as in DeepSeek."""
    named = keys.named(head_dim="qk_nope_head_dim", num_key_value_heads="num_attention_heads")
    usual = Defaults(
        vocabulary=73448,
        hidden=2560,
        layers=62,
        heads=40,
        head_dim=64,
        ffn=6400,
        positions=32768,
        tied=True,
    )
    decoder = sized(named, usual, "minicpm3")
    silent = {
        "q_lora_rank": 768,
        "kv_lora_rank": 256,
        "qk_nope_head_dim": 64,
        "qk_rope_head_dim": 32,
        "v_head_dim": 64,
    }
    widths = ranks(msgspec.structs.replace(keys, values={**silent, **keys.values}))
    bias = keys.flag("attention_bias", default=False)
    decoder = msgspec.structs.replace(
        narrowed(decoder, widths, bias=bias), ffn_bias=keys.flag("mlp_bias", default=False)
    )
    return with_ranks(assemble(keys, decoder), widths)


def exaone(keys: Keys) -> Architecture:
    """EXAONE 3 and 3.5: Llama under other names."""
    named = keys.named(num_hidden_layers=("num_layers", "num_hidden_layers"))
    return assemble(named, sized(named, Defaults(vocabulary=102400), "exaone"))


REMOTE: Final[Readers] = {
    "chatglm": chatglm,
    "baichuan": baichuan,
    "internlm": internlm,
    "internlm2": internlm,
    "minicpm": minicpm,
    "minicpm3": minicpm3,
    "exaone": exaone,
}
