"""Image encoders that stand before a text model: those of CLIP, SigLIP, Pixtral, Idefics, InternVL
and Llama 4.

In: a config's part about images. Out: that half, without what projects it into the text.
"""  # noqa: D205 -- a list of names

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from deployopt.planning.architectures import patches
from deployopt.planning.architectures.counts import bert_layer, linear
from deployopt.planning.architectures.keys import Keys
from deployopt.planning.architectures.towers import Half, clip_image, seen, siglip_image


def _with(keys: Keys, usual: Mapping[str, object]) -> Keys:
    """The same where a silent config means `usual`."""
    return msgspec.structs.replace(keys, values={**usual, **keys.values})


def pixtral_image(keys: Keys) -> Half:
    """Pixtral's image encoder: Llama's layers over patches, no biases."""
    usual = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 1024,
    }
    tower = patches.sized(_with(keys, usual), special=0)
    tower = msgspec.structs.replace(tower, gated=True)
    hidden = tower.hidden
    layer = 4 * hidden * hidden + 3 * hidden * tower.ffn + 2 * hidden
    own = tower.patch * tower.channels * hidden + hidden + tower.layers * layer
    return seen(tower, own, msgspec.structs.replace(patches.stack_of(tower), rms=True))


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
    tower = patches.sized(_with(keys, usual))
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
    return seen(tower, own)


def llama4_image(keys: Keys) -> Half:
    """Llama 4's image encoder, with the adapter that joins four patches."""
    usual = {
        "num_hidden_layers": 34,
        "num_attention_heads": 16,
        "intermediate_size": 5632,
        "patch_size": 14,
        "image_size": 448,
    }
    tower = patches.sized(_with(keys, usual))
    hidden = tower.hidden
    inner = keys.whole("projector_input_dim", 4096)
    outer = keys.whole("projector_output_dim", 4096)
    own = tower.patch * tower.channels * hidden + (1 + tower.tokens) * hidden + 4 * hidden
    own += tower.layers * bert_layer(hidden, tower.ffn) + tower.ffn * inner + inner * outer
    return seen(tower, own)


IMAGES: Final[Mapping[str, Callable[[Keys], Half]]] = {
    "clip_vision_model": clip_image,
    "siglip_vision_model": siglip_image,
    "pixtral": pixtral_image,
    "idefics3_vision": idefics_image,
    "smolvlm_vision": idefics_image,
    "internvl_vision": intern_image,
    "llama4_vision_model": llama4_image,
}
