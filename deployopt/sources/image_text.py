"""What an image-text model (CLIP, SigLIP) takes: an image and a text, each by a tower of its own.

In: the config, the preprocessor's options and the tokenizer of a folder whose class is CLIPModel or
SiglipModel. Out: its interface: both towers, or a classifier of images where its captions are fixed
(core/zero_shot.py). Refuses other families, images of another size than the image tower has patches
for, and weights that lack what joins the towers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.interface import PAIR_SCORES, Interface, PairInputs, Task, TextInputs
from deployopt.core.zero_shot import read_zero_shot
from deployopt.sources.preprocessing import read_preprocessor
from deployopt.sources.tokenizer_files import (
    TOKENIZER,
    Opener,
    read_tokenizer,
    seen_padding,
    tokenizer_options,
)
from deployopt.sources.weights import Tensor

OUTPUTS: Final = ("image_embeds", "text_embeds", PAIR_SCORES)
_LOGITS: Final = "logits"
_SIDE: Final = 224
_NAMES: Final = ("input_ids", "attention_mask")


class _Family(msgspec.Struct, frozen=True, kw_only=True):
    """As transformers' processors of the family prepare images and texts."""

    model: str
    tokens: int
    usual: Mapping[str, object]
    """Of images, where preprocessor_config.json is silent."""
    needed: tuple[str, ...]
    """The weights without which a tower is not whole."""
    padding: str | None = None
    """The token that every text is padded with to the tower's length; None where none is. Each
    text is then scored by itself."""


_FAMILIES: Final[Mapping[str, _Family]] = {
    "clip": _Family(
        model="CLIPModel",
        tokens=77,
        usual={
            "size": {"shortest_edge": _SIDE},
            "crop_size": {"height": _SIDE, "width": _SIDE},
            "do_center_crop": True,
            "resample": 3,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        },
        needed=("text_projection.weight", "visual_projection.weight", "logit_scale"),
    ),
    "siglip": _Family(
        model="SiglipModel",
        tokens=64,
        usual={"size": {"height": _SIDE, "width": _SIDE}, "resample": 3},
        needed=("text_model.head.weight", "vision_model.head.probe", "logit_scale", "logit_bias"),
        padding="</s>",
    ),
}
CLASSES: Final = tuple(family.model for family in _FAMILIES.values())


class PairFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes and answers, and the filter by which images are resized."""

    interface: Interface
    resample: int


def image_text_facts(
    folder: Path,
    config: Mapping[str, object],
    options: Mapping[str, object],
    opener: Opener | None = None,
) -> PairFacts:
    """What the model is; `options` are its preprocessor's.

    Raises:
        UsageError: a family that is not read, or files that do not belong together.
        RefusedInputError: a tokenizer that breaks its reader.
    """
    where = str(folder / "config.json")
    family = _family(config, where)
    text, vision = _part(config, "text_config", where), _part(config, "vision_config", where)
    facts = read_preprocessor({**family.usual, **options}, str(folder / "preprocessor_config.json"))
    side = vision.get("image_size", _SIDE)
    if (facts.inputs.height, facts.inputs.width) != (side, side):
        raise UsageError(
            f"{folder}: preprocessor_config.json makes images of {facts.inputs.width} x "
            f"{facts.inputs.height} pixels, and the image tower is one of {side} x {side} "
            "(vision_config.image_size). Take both from the same model."
        )
    words = _words(folder, text, family, opener)
    interface = Interface(
        task=Task.IMAGE_TEXT,
        inputs=PairInputs(image=facts.inputs, text=words),
        outputs=OUTPUTS,
        apart=True if family.padding else msgspec.UNSET,
    )
    fixed = read_zero_shot(folder)
    if fixed is not None:
        interface = msgspec.structs.replace(
            interface,
            task=Task.ZERO_SHOT,
            inputs=facts.inputs,
            outputs=(_LOGITS,),
            labels=fixed.labels,
        )
    return PairFacts(interface=interface, resample=facts.resample)


def check_towers(config: Mapping[str, object], tensors: Mapping[str, Tensor], folder: Path) -> None:
    """A missing projection would be filled with random weights.

    Raises:
        UsageError: one of the two towers is not there, or not whole; a family that is not read.
    """
    family = _family(config, str(folder / "config.json"))
    missing = [name for name in family.needed if name not in tensors]
    if missing:
        raise UsageError(
            f"{folder}: the weights have no {missing[0]}, so they are not those of a whole "
            f"{family.model}, with both towers and what joins them."
        )


def _family(config: Mapping[str, object], where: str) -> _Family:
    named = config.get("model_type")
    known = _FAMILIES.get(named) if isinstance(named, str) else None
    if known is None or config.get("architectures") != [known.model]:
        read = ", ".join(f"{name!r} ({family.model})" for name, family in _FAMILIES.items())
        raise UsageError(
            f"{where} is of the type {named!r} and names {config.get('architectures')!r}; the "
            f"image-text models that are read are {read}."
        )
    return known


def _words(
    folder: Path, text: Mapping[str, object], family: _Family, opener: Opener | None
) -> TextInputs:
    """What the text tower takes, by its config and its tokenizer."""
    tokens = text.get("max_position_embeddings", family.tokens)
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        raise UsageError(
            f"{folder / 'config.json'}: text_config.max_position_embeddings is {tokens!r}."
        )
    if family.padding is None:
        pad = read_tokenizer(folder, text, opener).pad_id
        return TextInputs(tokenizer=TOKENIZER, max_length=tokens, pad_id=pad)
    options = tokenizer_options(folder)
    if options.get("padding_side", "right") != "right":
        raise UsageError(
            f"{folder / 'tokenizer_config.json'}: padding_side is {options['padding_side']!r}; "
            "texts are padded on the right, where this model learnt to read the end. Set it so."
        )
    # What transformers' tokenizer gives where its options name nothing.
    named = options.get("model_input_names", _NAMES)
    names = tuple(name for name in _NAMES if isinstance(named, list | tuple) and name in named)
    return TextInputs(
        tokenizer=TOKENIZER,
        max_length=tokens,
        pad_id=seen_padding(folder, text, family.padding, opener),
        input_names=names or _NAMES[:1],
        padded=True,
    )


def _part(config: Mapping[str, object], name: str, where: str) -> Mapping[str, object]:
    found = config.get(name)
    if not isinstance(found, dict):
        raise UsageError(f"{where} has no {name}: it is not the config of a whole model.")
    return found
