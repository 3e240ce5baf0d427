"""Newer decoders that see: Qwen 3 VL and 3.5, SmolVLM, Mistral 3 with Pixtral, InternVL 3, Llama 4,
LLaVA-NeXT and OneVision.

In: the config with `vision_config` and `text_config`. Out: an architecture with both stacks.
"""  # noqa: D205 -- a list of names

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.architectures import deltas, experts, llamas, newer, patches, routers
from deployopt.planning.architectures.counts import bert_layer, linear, patch_embedding
from deployopt.planning.architectures.heads import heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, TOKENS, Keys
from deployopt.planning.architectures.net import Readers
from deployopt.planning.architectures.seeing import TEXTS, joined
from deployopt.planning.architectures.towers import Half, clip_image, part, siglip_image

NEW_TEXTS: Final[Readers] = {
    **TEXTS,
    **newer.NEWER,
    **routers.ROUTERS,
    **deltas.DELTAS,
    "qwen3_vl_text": llamas.qwen3,
    "qwen3_vl_moe_text": experts.qwen3_moe,
}
_SIDE: Final = 448
"""Pixels of the image that is counted where a model takes any size."""
_LLAVA: Final[Mapping[str, object]] = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 336,
}
_ONEVISION: Final[Mapping[str, object]] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 26,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 384,
    "vision_use_head": False,
}


def _text(keys: Keys, default: str) -> Architecture:
    nested = part(keys, "text_config")
    values = dict(nested.values)
    tied = keys.values.get("tie_word_embeddings")
    if tied is not None and "tie_word_embeddings" not in values:
        values["tie_word_embeddings"] = tied
    described = msgspec.structs.replace(nested, values=values)
    family = described.text("model_type", default)
    if family not in NEW_TEXTS:
        raise described.wrong("model_type", "a text model such as llama, mistral or qwen2")
    return NEW_TEXTS[family](described)


def _seen(tower: patches.Patches, parameters: int, stack: Stack | None = None) -> Half:
    return Half(
        stack=patches.stack_of(tower) if stack is None else stack,
        parameters=parameters,
        operations=(patch_embedding(tower.grid, tower.patch * tower.channels, tower.hidden),),
        activations=tower.height * tower.width * tower.channels + tower.tokens * tower.hidden,
        image=tower.height,
    )


def pixtral_image(keys: Keys) -> Half:
    """Pixtral's image encoder: Llama's layers over patches, no biases."""
    usual = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 1024,
    }
    tower = patches.sized(msgspec.structs.replace(keys, values={**usual, **keys.values}), special=0)
    tower = msgspec.structs.replace(tower, gated=True)
    hidden = tower.hidden
    layer = 4 * hidden * hidden + 3 * hidden * tower.ffn + 2 * hidden
    own = tower.patch * tower.channels * hidden + hidden + tower.layers * layer
    return _seen(tower, own, msgspec.structs.replace(patches.stack_of(tower), rms=True))


def idefics_image(keys: Keys) -> Half:
    """Idefics 3's image encoder: SigLIP without its head."""
    usual = {
        "hidden_size": 1152,
        "intermediate_size": 3072,
        "num_attention_heads": 16,
        "patch_size": 32,
    }
    values = {**usual, **keys.values, "vision_use_head": False}
    return siglip_image(msgspec.structs.replace(keys, values=values))


def intern_image(keys: Keys) -> Half:
    """InternVL's image encoder: BEiT's scaled layers with learned positions."""
    usual = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "image_size": 448,
    }
    tower = patches.sized(msgspec.structs.replace(keys, values={**usual, **keys.values}))
    hidden = tower.hidden
    norm = hidden if keys.text("norm_type", "layer_norm") == "rms_norm" else 2 * hidden
    bias = keys.flag("attention_bias", default=False)
    layer = linear(hidden, 3 * hidden, bias=bias) + linear(hidden, hidden) + 2 * norm + 2 * hidden
    layer += 2 * hidden if keys.flag("use_qk_norm", default=False) else 0
    layer += linear(hidden, tower.ffn) + linear(tower.ffn, hidden)
    own = tower.stem + hidden + tower.layers * layer
    positions = keys.flag("use_absolute_position_embeddings", default=True)
    own += tower.tokens * hidden if positions else 0
    own += hidden if keys.flag("use_mask_token", default=False) else 0
    own += 0 if keys.flag("use_mean_pooling", default=True) else 2 * hidden
    return _seen(tower, own)


def llama4_image(keys: Keys) -> Half:
    """Llama 4's image encoder, with the adapter that joins four patches."""
    usual = {
        "num_hidden_layers": 34,
        "num_attention_heads": 16,
        "intermediate_size": 5632,
        "patch_size": 14,
        "image_size": 448,
    }
    tower = patches.sized(msgspec.structs.replace(keys, values={**usual, **keys.values}))
    hidden = tower.hidden
    inner = keys.whole("projector_input_dim", 4096)
    outer = keys.whole("projector_output_dim", 4096)
    own = tower.patch * tower.channels * hidden + (1 + tower.tokens) * hidden + 4 * hidden
    own += tower.layers * bert_layer(hidden, tower.ffn) + tower.ffn * inner + inner * outer
    return _seen(tower, own)


IMAGES: Final[Mapping[str, Callable[[Keys], Half]]] = {
    "clip_vision_model": clip_image,
    "siglip_vision_model": siglip_image,
    "pixtral": pixtral_image,
    "idefics3_vision": idefics_image,
    "smolvlm_vision": idefics_image,
    "internvl_vision": intern_image,
    "llama4_vision_model": llama4_image,
}


def _image(keys: Keys, default: str, usual: Mapping[str, object] | None = None) -> Half:
    nested = part(keys, "vision_config")
    described = msgspec.structs.replace(nested, values=nested.values or usual or {})
    family = described.text("model_type", default)
    if family not in IMAGES:
        raise described.wrong("model_type", f"one of {', '.join(IMAGES)}")
    return IMAGES[family](described)


def llava_next(keys: Keys) -> Architecture:
    """LLaVA-NeXT and OneVision: LLaVA with a vector for the end of a row of tiles."""
    model_type = keys.text("model_type", "llava_next")
    first = model_type == "llava_next"
    usual = _LLAVA if first else _ONEVISION
    image = _image(keys, str(usual["model_type"]), usual)
    text = _text(keys, "llama" if first else "qwen2")
    hidden = text.stacks[0].hidden
    layers = keys.values.get("vision_feature_layer")
    taken = len(layers) if isinstance(layers, list | tuple) else 1
    bias = keys.flag("multimodal_projector_bias", default=True)
    own = linear(taken * image.hidden, hidden, bias=bias) + linear(hidden, hidden, bias=bias)
    return joined(model_type, image, text, projector=own + hidden, note="counted with one tile")


def idefics3(keys: Keys) -> Architecture:
    """Idefics 3 and SmolVLM: neighbouring patches side by side, one dense layer."""
    image, text = _image(keys, "idefics3_vision"), _text(keys, "llama")
    factor = keys.whole("scale_factor", 2, most=HEADS)
    own = image.hidden * factor**2 * text.stacks[0].hidden
    model_type = keys.text("model_type", "idefics3")
    return joined(model_type, image, text, projector=own, note="counted with one tile")


def mistral3(keys: Keys) -> Architecture:
    """Mistral 3: four patches merged, two dense layers."""
    usual = {"model_type": "pixtral", "image_size": 1540, "patch_size": 14}
    image, text = _image(keys, "pixtral", usual), _text(keys, "mistral")
    hidden, width = text.stacks[0].hidden, image.hidden
    factor = keys.whole("spatial_merge_size", 2, most=HEADS)
    bias = keys.flag("multimodal_projector_bias", default=False)
    own = width + width * factor**2 * width
    own += linear(width, hidden, bias=bias) + linear(hidden, hidden, bias=bias)
    note = f"counted with an image of {image.image} x {image.image}"
    return joined("mistral3", image, text, projector=own, note=note)


def internvl(keys: Keys) -> Architecture:
    """InternVL 2.5 and 3 in transformers' format."""
    image, text = _image(keys, "internvl_vision"), _text(keys, "qwen2")
    share = keys.number("downsample_ratio", 0.5, least=0.01, most=1)
    merged, hidden = image.hidden * int(1 / share) ** 2, text.stacks[0].hidden
    own = 2 * merged + linear(merged, hidden) + linear(hidden, hidden)
    return joined("internvl", image, text, projector=own, note="counted with one tile")


def llama4(keys: Keys) -> Architecture:
    """Llama 4 with eyes."""
    if keys.part("vision_config") is None and keys.part("text_config") is None:
        return routers.llama4(keys)
    image, text = _image(keys, "llama4_vision_model"), _text(keys, "llama4_text")
    out = part(keys, "vision_config").whole("vision_output_dim", 7680)
    own = out * text.stacks[0].hidden
    return joined("llama4", image, text, projector=own, note="counted with one tile")


class Eye(msgspec.Struct, frozen=True, kw_only=True):
    """Qwen 3's image encoder."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    patch: int
    pixels: int
    merge: int
    out: int
    places: int
    deep: int


def _eye(keys: Keys, *, deep: bool) -> Eye:
    patch = keys.whole("patch_size", 16, most=_SIDE)
    frames = keys.whole("temporal_patch_size", 2, most=1 << 10)
    chosen = keys.wholes("deepstack_visual_indexes", (8, 16, 24), least=0, most=LAYERS)
    return Eye(
        hidden=keys.whole("hidden_size", 1152),
        layers=keys.whole("depth", 27, most=LAYERS),
        heads=keys.whole("num_heads", 16, most=HEADS),
        ffn=keys.whole("intermediate_size", 4304),
        patch=patch,
        pixels=patch * patch * frames * keys.whole("in_channels", 3),
        merge=keys.whole("spatial_merge_size", 2, most=math.isqrt(_SIDE)),
        out=keys.whole("out_hidden_size", 3584),
        places=keys.whole("num_position_embeddings", 2304, most=TOKENS),
        deep=len(chosen) if deep else 0,
    )


def qwen3_vl(keys: Keys) -> Architecture:
    """Qwen 3 VL and 3.5: learned places; the first reads three further layers of the image."""
    model_type = keys.text("model_type", "qwen3_vl")
    nested = part(keys, "vision_config")
    eye = _eye(nested, deep=model_type.startswith("qwen3_vl"))
    hidden, merged = eye.hidden, eye.hidden * eye.merge**2
    merger = linear(merged, merged) + linear(merged, eye.out)
    own = linear(eye.pixels, hidden) + eye.places * hidden + 2 * hidden + merger
    own += eye.layers * bert_layer(hidden, eye.ffn) + eye.deep * (merger + 2 * merged)
    grid = (_SIDE // eye.patch) ** 2
    image = Half(
        stack=Stack(
            name="vision",
            layers=eye.layers,
            hidden=hidden,
            heads=eye.heads,
            kv_heads=eye.heads,
            head_dim=heads_divide(nested, hidden, eye.heads),
            ffn=eye.ffn,
            tokens=grid,
        ),
        parameters=own,
        operations=(patch_embedding(grid, eye.pixels, hidden),),
        activations=grid * (eye.pixels + hidden),
        image=_SIDE,
    )
    text = _text(keys, f"{model_type}_text")
    note = f"counted with an image of {_SIDE} x {_SIDE}"
    return joined(model_type, image, text, projector=0, note=note)


GLANCES: Final[Readers] = {
    "llava_next": llava_next,
    "llava_onevision": llava_next,
    "idefics3": idefics3,
    "smolvlm": idefics3,
    "mistral3": mistral3,
    "internvl": internvl,
    "llama4": llama4,
    "qwen3_vl": qwen3_vl,
    "qwen3_vl_moe": qwen3_vl,
    "qwen3_5": qwen3_vl,
    "qwen3_5_moe": qwen3_vl,
}
