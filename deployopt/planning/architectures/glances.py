"""Newer decoders that see: Qwen 3 VL and 3.5, SmolVLM, Mistral 3 with Pixtral, InternVL 3, Llama 4.

In: the config with `vision_config` and `text_config`. Out: an architecture with both stacks.
"""

import math
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.architectures import routers
from deployopt.planning.architectures.counts import bert_layer, linear, patch_embedding
from deployopt.planning.architectures.heads import heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, TOKENS, Keys, Readers
from deployopt.planning.architectures.sights import image_of, joined, text_of
from deployopt.planning.architectures.towers import Half, part

_SIDE: Final = 448
"""Pixels of the image that is counted where a model takes any size."""


def idefics3(keys: Keys) -> Architecture:
    """Idefics 3 and SmolVLM: neighbouring patches side by side, one dense layer."""
    image, text = image_of(keys, {"model_type": "idefics3_vision"}), text_of(keys, "llama")
    factor = keys.whole("scale_factor", 2, most=HEADS)
    own = image.hidden * factor**2 * text.stacks[0].hidden
    model_type = keys.text("model_type", "idefics3")
    return joined(model_type, image, text, projector=own, note="counted with one tile")


def mistral3(keys: Keys) -> Architecture:
    """Mistral 3: four patches merged, two dense layers."""
    usual = {"model_type": "pixtral", "image_size": 1540, "patch_size": 14}
    image, text = image_of(keys, usual), text_of(keys, "mistral")
    hidden, width = text.stacks[0].hidden, image.hidden
    factor = keys.whole("spatial_merge_size", 2, most=HEADS)
    bias = keys.flag("multimodal_projector_bias", default=False)
    own = width + width * factor**2 * width
    own += linear(width, hidden, bias=bias) + linear(hidden, hidden, bias=bias)
    note = f"counted with an image of {image.image} x {image.image}"
    return joined("mistral3", image, text, projector=own, note=note)


def internvl(keys: Keys) -> Architecture:
    """InternVL 2.5 and 3 in transformers' format."""
    image, text = image_of(keys, {"model_type": "internvl_vision"}), text_of(keys, "qwen2")
    share = keys.number("downsample_ratio", 0.5, least=0.01, most=1)
    merged, hidden = image.hidden * int(1 / share) ** 2, text.stacks[0].hidden
    own = 2 * merged + linear(merged, hidden) + linear(hidden, hidden)
    return joined("internvl", image, text, projector=own, note="counted with one tile")


def llama4(keys: Keys) -> Architecture:
    """Llama 4 with eyes."""
    if keys.part("vision_config") is None and keys.part("text_config") is None:
        return routers.llama4(keys)
    image = image_of(keys, {"model_type": "llama4_vision_model"})
    text = text_of(keys, "llama4_text")
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
    text = text_of(keys, f"{model_type}_text")
    note = f"counted with an image of {_SIDE} x {_SIDE}"
    return joined(model_type, image, text, projector=0, note=note)


GLANCES: Final[Readers] = {
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
