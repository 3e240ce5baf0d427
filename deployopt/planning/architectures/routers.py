"""Newer decoders with mixtures of experts: Llama 4, GLM 4.5, Ernie 4.5, DBRX, MiniMax M2.

In: the config of one family. Out: its architecture, the routed experts counted apart.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.decoder import assemble
from deployopt.planning.architectures.experts import routed
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.llamas import (
    Defaults,
    listed_windows,
    sized,
    upper_layers_slide,
    with_biases,
)

_FULL: Final = 4
"""Every fourth of Llama 4's layers sees the whole text."""


def llama4(keys: Keys) -> Architecture:
    """Llama 4's text model: experts in every layer or every second, a shared one beside them."""
    usual = Defaults(
        vocabulary=202048,
        hidden=5120,
        layers=48,
        heads=40,
        kv_heads=8,
        head_dim=128,
        ffn=8192,
        positions=131072,
    )
    decoder = with_biases(keys, sized(keys, usual, keys.text("model_type", "llama4_text")))
    width = decoder.ffn
    listed = listed_windows(keys, decoder.layers)
    chunked = decoder.layers - decoder.layers // _FULL if listed is None else listed
    decoder = routed(keys, decoder, experts=16, used=1, width=width)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            ffn=keys.whole("intermediate_size_mlp", 16384),
            ffn_bias=False,
            shared_ffn=width,
            dense_layers=decoder.layers - _llama4_sparse(keys, decoder.layers),
            window=keys.optional("attention_chunk_size", 8192),
            window_layers=chunked,
        ),
    )


def _llama4_sparse(keys: Keys, layers: int) -> int:
    if keys.has("moe_layers"):
        chosen = set(keys.wholes("moe_layers", least=0, most=LAYERS))
        return sum(layer in chosen for layer in range(layers))
    return layers // keys.whole("interleave_moe_layer_step", 1, most=LAYERS)


def behind_dense(keys: Keys) -> Architecture:
    """GLM 4.5, dots.1, DeepSeek MoE 16B: some dense layers, then experts and shared ones."""
    model_type = keys.text("model_type", "glm4_moe")
    usual, first = _BEHIND[model_type]
    if model_type == "glm4_moe":  # its class rounds down
        hidden = keys.whole("hidden_size", usual.hidden)
        heads = keys.whole("num_attention_heads", usual.heads, most=HEADS)
        usual = msgspec.structs.replace(usual, head_dim=max(1, hidden // heads))
    decoder = upper_layers_slide(keys, with_biases(keys, sized(keys, usual, model_type)))
    named = keys.named(num_experts="n_routed_experts")
    width = keys.whole("moe_intermediate_size", 1408)
    decoder = routed(
        msgspec.structs.replace(named, values=_counted(keys)), decoder, experts=128, used=8,
        width=width,
    )  # fmt: skip
    shared = keys.whole("n_shared_experts", 1, least=0, most=HEADS)
    dense = keys.whole("first_k_dense_replace", first, least=0, most=LAYERS)
    normed = model_type == "dots1" or keys.flag("use_qk_norm", default=False)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            out_bias=decoder.out_bias and model_type != "glm4_moe",
            ffn_bias=False,
            shared_ffn=shared * width,
            dense_layers=min(dense, decoder.layers),
            layer_extra=2 * decoder.head_dim if normed else 0,
        ),
    )


def _counted(keys: Keys) -> dict[str, object]:
    """The values with the routed experts under the usual name as well."""
    found = dict(keys.values)
    if found.get("n_routed_experts") is not None:
        found["num_experts"] = found["n_routed_experts"]
    found.pop("num_local_experts", None)
    return found


_BEHIND: Final[Mapping[str, tuple[Defaults, int]]] = {
    "glm4_moe": (
        Defaults(vocabulary=151552, layers=46, heads=96, kv_heads=8, ffn=10944, positions=131072),
        1,
    ),
    "dots1": (Defaults(vocabulary=152064, hidden=4608, layers=62, ffn=10944), 0),
    "deepseek": (Defaults(vocabulary=102400), 0),
}


def ernie_moe(keys: Keys) -> Architecture:
    """Ernie 4.5 with experts: a correction for each, shared ones, a first dense layer."""
    usual = Defaults(
        vocabulary=103424,
        hidden=2560,
        layers=28,
        heads=20,
        kv_heads=4,
        ffn=12288,
        positions=131072,
        tied=True,
    )
    decoder = sized(keys, usual, "ernie4_5_moe")
    bias = keys.flag("use_bias", default=False)
    if bias:
        raise keys.wrong("use_bias", "false")
    width = keys.whole("moe_intermediate_size", 1536)
    experts = keys.whole("moe_num_experts", 64, most=HEADS)
    used = keys.whole("moe_k", 6, most=experts)
    shared = keys.whole("moe_num_shared_experts", 2, least=0, most=HEADS)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            experts=experts,
            experts_used=used,
            expert_ffn=width,
            router_extra=experts,
            shared_ffn=shared * width,
            dense_layers=decoder.layers - _ernie_sparse(keys, decoder.layers),
        ),
    )


def _ernie_sparse(keys: Keys, layers: int) -> int:
    first = keys.whole("moe_layer_start_index", 1, least=0, most=LAYERS)
    last = keys.whole("moe_layer_end_index", layers - 1, least=-1, most=LAYERS)
    last = layers - 1 if last < 0 else last
    step = keys.whole("moe_layer_interval", 1, most=LAYERS)
    return sum((i + 1) % step == 0 and first <= i <= last for i in range(layers))


def minimax_m2(keys: Keys) -> Architecture:
    """MiniMax M2: norms over all of the queries and of the keys, experts in every layer."""
    usual = Defaults(
        vocabulary=200064,
        hidden=3072,
        layers=62,
        heads=48,
        kv_heads=8,
        head_dim=128,
        ffn=1536,
        positions=196608,
    )
    decoder = sized(keys, usual, "minimax_m2")
    decoder = routed(keys, decoder, experts=256, used=8, width=decoder.ffn)
    normed = (decoder.heads + decoder.kv_heads) * decoder.head_dim
    return assemble(keys, msgspec.structs.replace(decoder, layer_extra=normed))


def granite_shared(keys: Keys) -> Architecture:
    """Granite with experts and a shared feed-forward."""
    decoder = with_biases(keys, sized(keys, Defaults(), "granitemoeshared"))
    decoder = routed(keys, decoder, experts=8, used=2, width=decoder.ffn)
    shared = keys.whole("shared_intermediate_size", 0, least=0)
    return assemble(keys, msgspec.structs.replace(decoder, shared_ffn=shared))


def hunyuan_moe(keys: Keys) -> Architecture:
    """Hunyuan 1 with experts and one shared feed-forward."""
    decoder = with_biases(keys, sized(keys, Defaults(vocabulary=290943), "hunyuan_v1_moe"))
    experts = _one(keys, "num_experts", 1)
    used = min(_one(keys, "moe_topk", 1), experts)
    return assemble(
        keys,
        msgspec.structs.replace(
            decoder,
            ffn_bias=False,
            experts=experts,
            experts_used=used,
            expert_ffn=decoder.ffn,
            shared_ffn=decoder.ffn,
            layer_extra=2 * decoder.head_dim,
        ),
    )


def _one(keys: Keys, name: str, default: int) -> int:
    """A number, or a list with the same number for every layer."""
    if not isinstance(keys.values.get(name), list | tuple):
        return keys.whole(name, default, most=HEADS)
    found = set(keys.wholes(name, most=HEADS))
    if len(found) != 1:
        raise keys.wrong(name, "the same number for every layer")
    return found.pop()


def dbrx(keys: Keys) -> Architecture:
    """DBRX: LayerNorms without bias, experts in every layer."""
    named = keys.named(
        hidden_size="d_model",
        num_hidden_layers="n_layers",
        num_attention_heads="n_heads",
        max_position_embeddings="max_seq_len",
    )
    usual = Defaults(hidden=2048, layers=24, heads=16, positions=2048)
    attention, feed = (keys.part(name) or Keys(values={}) for name in ("attn_config", "ffn_config"))
    decoder = sized(named, usual, "dbrx")
    kept = attention.whole("kv_n_heads", 1, most=HEADS)
    if decoder.heads % kept:
        raise attention.wrong("kv_n_heads", f"a divisor of the {decoder.heads} heads")
    experts = feed.whole("moe_num_experts", 4, most=HEADS)
    return assemble(
        named,
        msgspec.structs.replace(
            decoder,
            kv_heads=kept,
            rms=False,
            experts=experts,
            experts_used=feed.whole("moe_top_k", 1, most=experts),
            expert_ffn=feed.whole("ffn_hidden_size", 3584),
        ),
    )


ROUTERS: Final[Readers] = {
    "llama4_text": llama4,
    "glm4_moe": behind_dense,
    "dots1": behind_dense,
    "deepseek": behind_dense,
    "ernie4_5_moe": ernie_moe,
    "minimax_m2": minimax_m2,
    "granitemoeshared": granite_shared,
    "hunyuan_v1_moe": hunyuan_moe,
    "dbrx": dbrx,
}
