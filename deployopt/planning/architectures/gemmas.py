"""Decoders with gated feed-forwards whose norms are not Llama's: Gemma, Cohere, OLMo, StableLM.

In: the config of one family. Out: its architecture.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.keys import Keys, Readers
from deployopt.planning.architectures.llamas import Defaults, patterned, sized, with_biases

_GEMMA: Final = Defaults(
    vocabulary=256000,
    hidden=3072,
    layers=28,
    heads=16,
    kv_heads=16,
    head_dim=256,
    ffn=24576,
    positions=8192,
    tied=True,
)
_GEMMA2: Final = msgspec.structs.replace(
    _GEMMA, hidden=2304, layers=26, heads=8, kv_heads=4, ffn=9216
)
_GEMMA3: Final = msgspec.structs.replace(_GEMMA2, vocabulary=262208, positions=131072)
_COHERE: Final = Defaults(
    vocabulary=256000, hidden=8192, layers=40, heads=64, ffn=22528, positions=8192, tied=True
)
_OLMO: Final = Defaults(vocabulary=50304)


def gemma(keys: Keys) -> Architecture:
    """Gemma 1."""
    return assemble(keys, with_biases(keys, sized(keys, _GEMMA, "gemma")))


def gemma2(keys: Keys) -> Architecture:
    """Gemma 2: norms before and after both halves of a layer; every second layer slides."""
    decoder = with_biases(keys, sized(keys, _GEMMA2, "gemma2"))
    decoder = patterned(keys, decoder, every=2, default=4096)
    return assemble(keys, msgspec.structs.replace(decoder, norms=4))


def gemma3(keys: Keys) -> Architecture:
    """Gemma 3's text model: norms of queries and keys too; five of six layers slide."""
    decoder = with_biases(keys, sized(keys, _GEMMA3, keys.text("model_type", "gemma3_text")))
    decoder = patterned(keys, decoder, every=6, default=4096)
    return assemble(
        keys, msgspec.structs.replace(decoder, norms=4, layer_extra=2 * decoder.head_dim)
    )


def cohere(keys: Keys) -> Architecture:
    """Command R: attention and feed-forward side by side, under one LayerNorm without bias."""
    decoder = _side_by_side(with_biases(keys, sized(keys, _COHERE, "cohere")))
    if keys.flag("use_qk_norm", default=False):
        decoder = msgspec.structs.replace(decoder, layer_extra=_whole_qk_norms(decoder))
    return assemble(keys, decoder)


def cohere2(keys: Keys) -> Architecture:
    """Command R7B and A: three of four layers slide."""
    decoder = _side_by_side(with_biases(keys, sized(keys, _COHERE, "cohere2")))
    return assemble(keys, patterned(keys, decoder, every=4, default=4096))


def _side_by_side(decoder: Decoder) -> Decoder:
    return msgspec.structs.replace(decoder, norms=1, rms=False)


def _whole_qk_norms(decoder: Decoder) -> int:
    """Norms over all heads of the queries and of the keys."""
    return (decoder.heads + decoder.kv_heads) * decoder.head_dim


def olmo(keys: Keys) -> Architecture:
    """OLMo 1: LayerNorms without parameters."""
    decoder = with_biases(keys, sized(keys, _OLMO, "olmo"))
    return assemble(keys, msgspec.structs.replace(decoder, norm_width=0, rms=False))


def olmo2(keys: Keys) -> Architecture:
    """OLMo 2 and 3; in the latter three of four layers slide."""
    model_type = keys.text("model_type", "olmo2")
    decoder = with_biases(keys, sized(keys, _OLMO, model_type))
    if model_type == "olmo3":
        decoder = patterned(keys, decoder, every=4, default=4096)
    return assemble(keys, msgspec.structs.replace(decoder, layer_extra=_whole_qk_norms(decoder)))


def exaone4(keys: Keys) -> Architecture:
    """EXAONE 4: norms after attention and feed-forward, and of queries and keys."""
    defaults = Defaults(vocabulary=102400, kv_heads=32, ffn=16384)
    decoder = patterned(keys, sized(keys, defaults, "exaone4"), every=4, default=4096)
    return assemble(keys, msgspec.structs.replace(decoder, layer_extra=2 * decoder.head_dim))


def stablelm(keys: Keys) -> Architecture:
    """StableLM 2: LayerNorms with bias; one fewer where the halves stand side by side."""
    defaults = Defaults(vocabulary=50304, hidden=2560, kv_heads=32, ffn=6912, positions=4096)
    decoder = sized(keys, defaults, "stablelm")
    heads_normed = keys.flag("qk_layernorm", default=False)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            rms=False,
            norm_width=2,
            norms=1 if keys.flag("use_parallel_residual", default=False) else 2,
            qkv_bias=keys.flag("use_qkv_bias", default=False),
            layer_extra=_whole_qk_norms(decoder) if heads_normed else 0,
        ),
    )


GEMMAS: Final[Readers] = {
    "gemma": gemma,
    "gemma2": gemma2,
    "gemma3_text": gemma3,
    "cohere": cohere,
    "cohere2": cohere2,
    "olmo": olmo,
    "olmo2": olmo2,
    "olmo3": olmo2,
    "exaone4": exaone4,
    "stablelm": stablelm,
}
