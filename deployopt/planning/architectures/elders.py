"""More decoders in GPT's line: the first GPT, XGLM, BioGPT, Persimmon.

In: the config of one family. Out: its architecture.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.decoder import assemble
from deployopt.planning.architectures.gpts import GPT2, ROWS_BEFORE, gpt2_keys, learned, plain
from deployopt.planning.architectures.keys import Keys, Readers
from deployopt.planning.architectures.llamas import Defaults


def persimmon(keys: Keys) -> Architecture:
    """Persimmon: norms of queries and keys, with biases."""
    defaults = Defaults(vocabulary=262144, layers=36, heads=64, ffn=16384, positions=16384)
    decoder = plain(keys, defaults, "persimmon")
    normed = keys.flag("qk_layernorm", default=True)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            qkv_bias=True,
            out_bias=True,
            layer_extra=4 * decoder.head_dim if normed else 0,
        ),
    )


def xglm(keys: Keys) -> Architecture:
    """XGLM: positions of sines."""
    named = keys.named(
        hidden_size="d_model",
        num_hidden_layers="num_layers",
        num_attention_heads="attention_heads",
        intermediate_size="ffn_dim",
    )
    defaults = Defaults(
        vocabulary=256008, hidden=1024, layers=24, heads=16, ffn=4096, positions=2048, tied=True
    )
    decoder = plain(named, defaults, "xglm")
    return assemble(named, msgspec.structs.replace(decoder, qkv_bias=True, out_bias=True))


def biogpt(keys: Keys) -> Architecture:
    """BioGPT: learned positions, two rows more than the config says."""
    defaults = Defaults(
        vocabulary=42384, hidden=1024, layers=24, heads=16, ffn=4096, positions=1024, tied=True
    )
    decoder = plain(keys, defaults, "biogpt")
    rows = (decoder.positions or 0) + ROWS_BEFORE
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder, qkv_bias=True, out_bias=True, tables=rows * decoder.hidden
        ),
    )


def openai_gpt(keys: Keys) -> Architecture:
    """The first GPT: norms behind, none at the end."""
    named = gpt2_keys(keys)
    defaults = msgspec.structs.replace(GPT2, vocabulary=40478, positions=512)
    decoder = learned(plain(named, defaults, "openai-gpt"))
    return assemble(
        named, msgspec.structs.replace(decoder, qkv_bias=True, out_bias=True, final_norms=0)
    )


ELDERS: Final[Readers] = {
    "openai-gpt": openai_gpt,
    "xglm": xglm,
    "biogpt": biogpt,
    "persimmon": persimmon,
}
