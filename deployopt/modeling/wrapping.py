"""A transformers model as a module from named arrays to its outputs, the form that is exported."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from deployopt.core.errors import StepError
from deployopt.core.interface import (
    ArrayInputs,
    DrawingInputs,
    ImageInputs,
    Interface,
    PairInputs,
    PromptInputs,
    Task,
    TextInputs,
)
from deployopt.core.samples import Feed
from deployopt.core.zero_shot import read_zero_shot
from deployopt.modeling.loading import load_model
from deployopt.modeling.zero_shot import logit_bias, zero_shot_classifier


class Logits(nn.Module):  # type: ignore[misc] # torch is not followed
    """Positional inputs in the order of `names`; the logits `[batch, classes]` come out."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)
        # The wrapper's own mode counts: an exporter restores it on the whole tree.
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """The first output of the model."""
        named = dict(zip(self.names, inputs, strict=True))
        logits: Tensor = self.model(**named, return_dict=False)[0]
        return logits


class Boxes(nn.Module):  # type: ignore[misc] # as above
    """The same of a detector: scores `[batch, places, classes]` and boxes `[batch, places, 4]`."""

    def __init__(self, model: nn.Module, names: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)
        self.outputs = tuple(outputs)
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs by their names in transformers."""
        answer = self.model(**dict(zip(self.names, inputs, strict=True)), return_dict=True)
        return tuple(answer[name] for name in self.outputs)


class Pairs(nn.Module):  # type: ignore[misc] # as above
    """An image-text model: embeddings of length 1, and how well each text fits each image."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of images and texts in this order: `[images, width]`, `[texts, width]`, and of both."""
        given = dict(zip(self.names, inputs, strict=True))
        seen = self.model.get_image_features(given.pop(self.names[0]), return_dict=True)
        read = self.model.get_text_features(**given, return_dict=True)
        image = normalize(seen.pooler_output, dim=-1)
        text = normalize(read.pooler_output, dim=-1)
        logits = image @ text.t() * self.model.logit_scale.exp()
        bias = logit_bias(self.model)
        return image, text, logits if bias is None else logits + bias


def opened(folder: Path, interface: Interface) -> nn.Module:
    """The folder's model for this task: an image-text model whose captions are fixed classifies.

    Raises:
        RefusedInputError, StepError: as load_model.
    """
    if interface.task is not Task.ZERO_SHOT:
        return load_model(folder, interface.task)
    fixed = read_zero_shot(folder)
    if fixed is None:
        raise StepError(f"{folder} has no captions. Build again, with --labels.")
    return zero_shot_classifier(load_model(folder, Task.IMAGE_TEXT), fixed)


def wrapped(model: nn.Module, interface: Interface) -> nn.Module:
    """The model as the interface's task asks it."""
    names = input_names(interface)
    if interface.pairs:
        return Pairs(model, names)
    return Boxes(model, names, interface.outputs) if interface.detects else Logits(model, names)


def input_names(interface: Interface) -> tuple[str, ...]:
    """The model's inputs, in order."""
    match interface.inputs:
        case TextInputs(input_names=names):
            return names
        case ImageInputs(input_name=name):
            return (name,)
        case ArrayInputs(inputs=arrays):
            return tuple(spec.name for spec in arrays)
        case PromptInputs() | DrawingInputs():
            return ("input_ids",)
        case PairInputs(image=image, text=text):
            return (image.input_name, *text.input_names)


def dynamic_axes(interface: Interface) -> dict[str, dict[int, str]]:
    """The axes that vary: the batch, and the length of texts; of pairs of either the number."""
    if isinstance(interface.inputs, PairInputs):
        return _pair_axes(interface.inputs, interface.outputs)
    axes = {0: "batch", 1: "length"} if isinstance(interface.inputs, TextInputs) else {0: "batch"}
    return {name: dict(axes) for name in input_names(interface)}


def _pair_axes(inputs: PairInputs, outputs: Sequence[str]) -> dict[str, dict[int, str]]:
    image, text, both = outputs
    found = {name: {0: "texts", 1: "length"} for name in inputs.text.input_names}
    found |= {inputs.image.input_name: {0: "images"}, image: {0: "images"}, text: {0: "texts"}}
    return found | {both: {0: "images", 1: "texts"}}


def tensors(
    feed: Feed, names: Sequence[str], device: torch.device | None = None
) -> tuple[Tensor, ...]:
    """The feed's arrays as tensors, in the order of `names`; on the CPU where no device is said."""
    return tuple(torch.from_numpy(feed[name]).to(device) for name in names)
