"""Decoders with mixtures of experts: a router sends each token to a few of many feed-forwards.

In: the config of one family. Out: its architecture, the routed experts counted apart.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.llamas import (
    Defaults,
    every_layer_slides,
    patterned,
    sized,
    upper_layers_slide,
    with_biases,
)

_EXPERTS: Final = ("num_local_experts", "num_experts")
_QWEN_MOE: Final = Defaults(
    vocabulary=151936, hidden=2048, layers=24, heads=16, ffn=5632, positions=32768
)


def routed(keys: Keys, decoder: Decoder, *, experts: int, used: int, width: int) -> Decoder:
    """With so many experts of this width in every layer, of which a token passes `used`."""
    named = keys.named(num_experts=_EXPERTS)
    count = named.whole("num_experts", experts, most=HEADS)
    chosen = keys.whole("num_experts_per_tok", used, most=HEADS)
    if chosen > count:
        raise keys.wrong("num_experts_per_tok", f"at most the {count} experts")
    return msgspec.structs.replace(decoder, experts=count, experts_used=chosen, expert_ffn=width)


def sparse_steps(keys: Keys, decoder: Decoder) -> Decoder:
    """Qwen's choice of dense layers: `decoder_sparse_step` and `mlp_only_layers`."""
    step = keys.whole("decoder_sparse_step", 1, most=LAYERS)
    only = set(keys.wholes("mlp_only_layers", least=0, most=LAYERS))
    sparse = sum(layer not in only and (layer + 1) % step == 0 for layer in range(decoder.layers))
    return msgspec.structs.replace(decoder, dense_layers=decoder.layers - sparse)


def mixtral(keys: Keys) -> Architecture:
    """Mixtral: eight feed-forwards of Mistral's width in every layer."""
    defaults = Defaults(kv_heads=8, ffn=14336, positions=131072)
    decoder = every_layer_slides(keys, sized(keys, defaults, "mixtral"))
    return assemble(keys, routed(keys, decoder, experts=8, used=2, width=decoder.ffn))


def qwen2_moe(keys: Keys) -> Architecture:
    """Qwen 1.5 and 2 MoE: a shared expert with a gate beside the routed ones."""
    decoder = upper_layers_slide(keys, sized(keys, _QWEN_MOE, "qwen2_moe"))
    width = keys.whole("moe_intermediate_size", 1408)
    decoder = routed(keys, sparse_steps(keys, decoder), experts=60, used=4, width=width)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            qkv_bias=keys.flag("qkv_bias", default=True),
            shared_ffn=keys.whole("shared_expert_intermediate_size", 5632, least=0),
            router_extra=decoder.hidden,
        ),
    )


def qwen3_moe(keys: Keys) -> Architecture:
    """Qwen 3 MoE: no shared expert."""
    defaults = msgspec.structs.replace(_QWEN_MOE, heads=32, kv_heads=4, ffn=6144)
    model_type = keys.text("model_type", "qwen3_moe")
    decoder = with_biases(keys, upper_layers_slide(keys, sized(keys, defaults, model_type)))
    width = keys.whole("moe_intermediate_size", 768)
    decoder = routed(keys, sparse_steps(keys, decoder), experts=128, used=8, width=width)
    return assemble(keys, msgspec.structs.replace(decoder, layer_extra=2 * decoder.head_dim))


def olmoe(keys: Keys) -> Architecture:
    """OLMoE: norms over all of the queries and of the keys."""
    defaults = Defaults(
        vocabulary=50304, hidden=2048, layers=16, heads=16, ffn=2048, positions=4096
    )
    decoder = with_biases(keys, sized(keys, defaults, "olmoe"))
    decoder = routed(keys, decoder, experts=64, used=8, width=decoder.ffn)
    normed = (decoder.heads + decoder.kv_heads) * decoder.head_dim
    return assemble(keys, msgspec.structs.replace(decoder, layer_extra=normed))


def phimoe(keys: Keys) -> Architecture:
    """Phi 3.5 MoE: LayerNorms with bias."""
    defaults = Defaults(vocabulary=32064, kv_heads=8, ffn=6400, positions=131072)
    decoder = every_layer_slides(keys, with_biases(keys, sized(keys, defaults, "phimoe")))
    decoder = routed(keys, decoder, experts=16, used=2, width=decoder.ffn)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            rms=False,
            norm_width=2,
            head_bias=keys.flag("lm_head_bias", default=False),
        ),
    )


def granitemoe(keys: Keys) -> Architecture:
    """Granite 3 MoE."""
    decoder = with_biases(keys, sized(keys, Defaults(), "granitemoe"))
    return assemble(keys, routed(keys, decoder, experts=8, used=2, width=decoder.ffn))


def gpt_oss(keys: Keys) -> Architecture:
    """GPT-OSS: biases everywhere, a sink for each head, every second layer slides."""
    defaults = Defaults(
        vocabulary=201088,
        hidden=2880,
        layers=36,
        heads=64,
        kv_heads=8,
        head_dim=64,
        ffn=2880,
        positions=131072,
    )
    decoder = patterned(keys, sized(keys, defaults, "gpt_oss"), every=2, default=128)
    decoder = routed(keys, decoder, experts=128, used=4, width=decoder.ffn)
    bias = keys.flag("attention_bias", default=True)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            qkv_bias=bias,
            out_bias=bias,
            layer_extra=decoder.heads,
            router_bias=True,
            expert_bias=True,
        ),
    )


EXPERTS: Final[Readers] = {
    "mixtral": mixtral,
    "qwen2_moe": qwen2_moe,
    "qwen3_moe": qwen3_moe,
    "olmoe": olmoe,
    "phimoe": phimoe,
    "granitemoe": granitemoe,
    "gpt_oss": gpt_oss,
}
