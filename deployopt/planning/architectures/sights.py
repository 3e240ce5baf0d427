"""A decoder that sees, from its parts: an image encoder, a projector and a text model.

In: a config with `vision_config` and `text_config`, and what is usual where it is silent. Out:
each part, and both as one architecture, the image's stack first.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures import deltas, experts, gemmas, gpts, llamas, newer, routers
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.eyes import IMAGES
from deployopt.planning.architectures.keys import Keys, Readers
from deployopt.planning.architectures.towers import Half, part

TEXTS: Final[Readers] = {
    **llamas.LLAMAS,
    **gemmas.GEMMAS,
    **gpts.GPTS,
    **experts.EXPERTS,
    **newer.NEWER,
    **routers.ROUTERS,
    **deltas.DELTAS,
    "qwen3_vl_text": llamas.qwen3,
    "qwen3_vl_moe_text": experts.qwen3_moe,
}


def text_of(keys: Keys, default: str, usual: Mapping[str, object] | None = None) -> Architecture:
    """The text model; `usual` are its values where the config has no part for it."""
    nested = part(keys, "text_config")
    values = nested.values or usual or {}
    tied = keys.values.get("tie_word_embeddings")
    if tied is not None and "tie_word_embeddings" not in values:
        values = {**values, "tie_word_embeddings": tied}
    described = msgspec.structs.replace(nested, values=values)
    family = described.text("model_type", default)
    if family not in TEXTS:
        raise described.wrong("model_type", "a text model such as llama, mistral or qwen2")
    return TEXTS[family](described)


def image_of(keys: Keys, usual: Mapping[str, object]) -> Half:
    """The image encoder; `usual` are its family and, where the config has no part, its values."""
    nested = part(keys, "vision_config")
    described = msgspec.structs.replace(nested, values=nested.values or usual)
    family = described.text("model_type", str(usual["model_type"]))
    if family not in IMAGES:
        raise described.wrong("model_type", f"one of {', '.join(IMAGES)}")
    return IMAGES[family](described)


def dense_projector(keys: Keys, image: Half, hidden: int) -> int:
    """Two dense layers; the first takes the states of all image layers that the config names."""
    layers = keys.values.get("vision_feature_layer")
    taken = len(layers) if isinstance(layers, list | tuple) else 1
    bias = keys.flag("multimodal_projector_bias", default=True)
    return linear(taken * image.hidden, hidden, bias=bias) + linear(hidden, hidden, bias=bias)


def joined(
    model_type: str, image: Half, text: Architecture, *, projector: int, note: str = ""
) -> Architecture:
    """Both, with the projector between them."""
    return msgspec.structs.replace(
        text,
        model_type=model_type,
        stacks=(image.stack, *text.stacks),
        operations=image.operations + text.operations,
        activations=image.activations,
        image_size=image.image,
        parameters=text.parameters + image.parameters + projector,
        basis=note,
    )
