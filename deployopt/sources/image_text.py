"""What an image-text model (CLIP) takes: an image and a text, each by a tower of its own.

In: the config, the preprocessor's options and the tokenizer of a folder whose class is CLIPModel.
Out: its interface: both towers, or a classifier of images where its captions are fixed
(core/zero_shot.py). Refuses other families, images of another size than the image tower has patches
for, and weights that lack a tower's projection.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.interface import PAIR_SCORES, Interface, PairInputs, Task, TextInputs
from deployopt.core.zero_shot import read_zero_shot
from deployopt.sources.preprocessing import read_preprocessor
from deployopt.sources.tokenizer_files import TOKENIZER, Opener, read_tokenizer
from deployopt.sources.weights import Tensor

SUFFIX: Final = "CLIPModel"
OUTPUTS: Final = ("image_embeds", "text_embeds", PAIR_SCORES)
_LOGITS: Final = "logits"
FAMILY: Final = "clip"
_TOKENS: Final = 77
_SIDE: Final = 224
# Of transformers' image processor for CLIP, where the file is silent.
_USUAL: Final[Mapping[str, object]] = {
    "size": {"shortest_edge": _SIDE},
    "crop_size": {"height": _SIDE, "width": _SIDE},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_NEEDED: Final = ("text_projection.weight", "visual_projection.weight", "logit_scale")


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
    family = config.get("model_type")
    if family != FAMILY:
        raise UsageError(
            f"{where} is of the type {family!r}; of image-text models CLIP is read (model_type "
            f"{FAMILY!r}, class {SUFFIX})."
        )
    text, vision = _part(config, "text_config", where), _part(config, "vision_config", where)
    facts = read_preprocessor({**_USUAL, **options}, str(folder / "preprocessor_config.json"))
    side = vision.get("image_size", _SIDE)
    if (facts.inputs.height, facts.inputs.width) != (side, side):
        raise UsageError(
            f"{folder}: preprocessor_config.json makes images of {facts.inputs.width} x "
            f"{facts.inputs.height} pixels, and the image tower is one of {side} x {side} "
            "(vision_config.image_size). Take both from the same model."
        )
    tokens = text.get("max_position_embeddings", _TOKENS)
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        raise UsageError(f"{where}: text_config.max_position_embeddings is {tokens!r}.")
    pad = read_tokenizer(folder, text, opener).pad_id
    words = TextInputs(tokenizer=TOKENIZER, max_length=tokens, pad_id=pad)
    interface = Interface(
        task=Task.IMAGE_TEXT, inputs=PairInputs(image=facts.inputs, text=words), outputs=OUTPUTS
    )
    fixed = read_zero_shot(folder)
    if fixed is not None:
        interface = Interface(
            task=Task.ZERO_SHOT, inputs=facts.inputs, outputs=(_LOGITS,), labels=fixed.labels
        )
    return PairFacts(interface=interface, resample=facts.resample)


def check_towers(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """A missing projection would be filled with random weights.

    Raises:
        UsageError: one of the two towers is not there, or not whole.
    """
    missing = [name for name in _NEEDED if name not in tensors]
    if missing:
        raise UsageError(
            f"{folder}: the weights have no {missing[0]}, so they are not those of a whole "
            f"{SUFFIX}, with both towers and what joins them."
        )


def _part(config: Mapping[str, object], name: str, where: str) -> Mapping[str, object]:
    found = config.get(name)
    if not isinstance(found, dict):
        raise UsageError(f"{where} has no {name}: it is not the config of a whole {SUFFIX}.")
    return found
