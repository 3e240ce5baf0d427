"""What of a convolution net a student can learn beside the answers: its last output of each size.

In: an image classifier and one image. Out: modules by the height and width of what they give; none
where the type is not known, so that such a student learns from the answers alone.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from deployopt.modeling.hooks import outputs_of

_BLOCKS: Final[Mapping[str, str]] = {
    "convnext": "encoder.stages",
    "convnextv2": "encoder.stages",
    "efficientnet": "encoder.blocks",
    "mobilenet_v1": "layer",
    "mobilenet_v2": "layer",
    "regnet": "encoder.stages",
    "resnet": "encoder.stages",
}
_IMAGE: Final = 4


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A module that gives `[batch, width, height, width of the image]`."""

    module: nn.Module
    width: int


def stages(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> dict[tuple[int, int], Stage]:
    """The last block of each size, in the order in which an image passes them."""
    path = _BLOCKS.get(str(model.config.model_type))
    if path is None:
        return {}
    blocks = dict(model.get_submodule(f"{model.base_model_prefix}.{path}").named_children())
    with torch.no_grad(), outputs_of(blocks) as given:
        model(**inputs, return_dict=False)
    found: dict[tuple[int, int], Stage] = {}
    for name, block in blocks.items():
        output = given.get(name)
        if output is not None and output.dim() == _IMAGE:
            height, width = output.shape[2:]
            found[height, width] = Stage(module=block, width=output.shape[1])
    return found


def as_tokens(state: Tensor) -> Tensor:
    """`[batch, tokens, width]`: the places of an image are its tokens."""
    return state.flatten(2).transpose(1, 2) if state.dim() == _IMAGE else state
