"""Decoders that see: LLaVA and its kin, PaliGemma, Gemma 3, Qwen 2 and 2.5 VL.

In: the config with `vision_config` and `text_config` (or the text model's keys beside it). Out:
an architecture with both stacks, the image's first.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.architectures import gemmas, llamas
from deployopt.planning.architectures.counts import linear, patch_embedding
from deployopt.planning.architectures.heads import heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.sights import dense_projector, image_of, joined, text_of
from deployopt.planning.architectures.towers import Half, part

_QWEN_IMAGE: Final = 448
"""Its images have any size; this one is counted."""
_LLAVA_IMAGE: Final[Mapping[str, object]] = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 336,
}
_ONEVISION_IMAGE: Final[Mapping[str, object]] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 26,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 384,
    "vision_use_head": False,
}
_PALI_IMAGE: Final[Mapping[str, object]] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4096,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "patch_size": 14,
    "vision_use_head": False,
}
_PALI_TEXT: Final[Mapping[str, object]] = {
    "model_type": "gemma",
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 18,
    "num_attention_heads": 8,
    "num_key_value_heads": 1,
    "vocab_size": 257152,
}


def llava(keys: Keys) -> Architecture:
    """LLaVA 1.5 and its kin: two dense layers between CLIP and the text model."""
    image, text = image_of(keys, _LLAVA_IMAGE), text_of(keys, "llama")
    projector = dense_projector(keys, image, text.stacks[0].hidden)
    return joined("llava", image, text, projector=projector)


def llava_next(keys: Keys) -> Architecture:
    """LLaVA-NeXT and OneVision: LLaVA with a vector for the end of a row of tiles."""
    model_type = keys.text("model_type", "llava_next")
    first = model_type == "llava_next"
    image = image_of(keys, _LLAVA_IMAGE if first else _ONEVISION_IMAGE)
    text = text_of(keys, "llama" if first else "qwen2")
    hidden = text.stacks[0].hidden
    own = dense_projector(keys, image, hidden) + hidden
    return joined(model_type, image, text, projector=own, note="counted with one tile")


def paligemma(keys: Keys) -> Architecture:
    """PaliGemma 1 and 2: one dense layer between SigLIP and Gemma."""
    image, text = image_of(keys, _PALI_IMAGE), text_of(keys, "gemma", _PALI_TEXT)
    width = keys.whole("projection_dim", 2048)
    return joined("paligemma", image, text, projector=linear(image.hidden, width))


def gemma3(keys: Keys) -> Architecture:
    """Gemma 3 with eyes; a text model of this name without a part for images is read as one."""
    if keys.part("vision_config") is None and keys.part("text_config") is None:
        return gemmas.gemma3(keys)
    image = image_of(keys, {"model_type": "siglip_vision_model"})
    text = text_of(keys, "gemma3_text")
    hidden = text.stacks[0].hidden
    return joined("gemma3", image, text, projector=image.hidden * hidden + image.hidden)


class Eye(msgspec.Struct, frozen=True, kw_only=True):
    """Qwen's image encoder."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    patch: int
    pixels: int
    merge: int
    gated: bool
    out: int


def qwen_vl(keys: Keys) -> Architecture:
    """Qwen 2 and 2.5 VL: patches of two frames, four of them merged into a token."""
    model_type = keys.text("model_type", "qwen2_vl")
    text = _qwen_text(keys)
    eye = _eye(part(keys, "vision_config"), gated=model_type == "qwen2_5_vl")
    hidden, norm = eye.hidden, eye.hidden * (1 if eye.gated else 2)
    merged = hidden * eye.merge**2
    layer = linear(hidden, 3 * hidden) + linear(hidden, hidden) + 2 * norm
    layer += linear(hidden, (2 if eye.gated else 1) * eye.ffn) + linear(eye.ffn, hidden)
    own = eye.pixels * hidden + eye.layers * layer
    own += norm + linear(merged, merged) + linear(merged, eye.out)
    grid = (_QWEN_IMAGE // eye.patch) ** 2
    image = Half(
        stack=_qwen_stack(eye, grid),
        parameters=own,
        operations=(patch_embedding(grid, eye.pixels, hidden),),
        activations=grid * (eye.pixels + hidden),
        image=_QWEN_IMAGE,
    )
    note = f"counted with an image of {_QWEN_IMAGE} x {_QWEN_IMAGE}"
    return joined(model_type, image, text, projector=0, note=note)


def _qwen_text(keys: Keys) -> Architecture:
    """Qwen 2's text model, in a part of its own or beside the images' keys."""
    nested = part(keys, "text_config")
    values = nested.values or {
        key: value for key, value in keys.values.items() if key != "architectures"
    }
    usual: dict[str, object] = {
        "vocab_size": 152064,
        "hidden_size": 8192,
        "intermediate_size": 29568,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "max_window_layers": 80,
    }
    tied = keys.values.get("tie_word_embeddings")
    usual |= {} if tied is None else {"tie_word_embeddings": tied}
    return llamas.qwen2(msgspec.structs.replace(nested, values={**usual, **values}))


def _eye(keys: Keys, *, gated: bool) -> Eye:
    hidden = keys.whole("hidden_size", 3584) if gated else keys.whole("embed_dim", 1280)
    ratio = keys.number("mlp_ratio", 4, least=0.01, most=100)
    patch = keys.whole("patch_size", 14, most=_QWEN_IMAGE)
    frames = keys.whole("temporal_patch_size", 2, most=1 << 10)
    channels = keys.named(in_channels=("in_channels", "in_chans")).whole("in_channels", 3)
    out = keys.whole("out_hidden_size" if gated else "hidden_size", 3584)
    return Eye(
        hidden=hidden,
        layers=keys.whole("depth", 32, most=LAYERS),
        heads=keys.whole("num_heads", 16, most=HEADS),
        ffn=keys.whole("intermediate_size", 3420) if gated else max(1, int(hidden * ratio)),
        patch=patch,
        pixels=patch * patch * frames * channels,
        merge=keys.whole("spatial_merge_size", 2, most=math.isqrt(_QWEN_IMAGE)),
        gated=gated,
        out=out,
    )


def _qwen_stack(eye: Eye, grid: int) -> Stack:
    if eye.hidden % eye.heads:
        heads_divide(Keys(values={}, path="vision_config."), eye.hidden, eye.heads)
    return Stack(
        name="vision",
        layers=eye.layers,
        hidden=eye.hidden,
        heads=eye.heads,
        kv_heads=eye.heads,
        head_dim=eye.hidden // eye.heads,
        ffn=eye.ffn,
        gated=eye.gated,
        rms=eye.gated,
        tokens=grid,
    )


SEEING: Final[Readers] = {
    "llava": llava,
    "llava_next": llava_next,
    "llava_onevision": llava_next,
    "paligemma": paligemma,
    "gemma3": gemma3,
    "qwen2_vl": qwen_vl,
    "qwen2_5_vl": qwen_vl,
}
