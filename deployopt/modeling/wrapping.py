"""A transformers model as a module from named arrays to its outputs, the form that is exported."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deployopt.core.interface import ArrayInputs, ImageInputs, Interface, PromptInputs, TextInputs
from deployopt.core.samples import Feed


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


def wrapped(model: nn.Module, interface: Interface) -> nn.Module:
    """The model as the interface's task asks it."""
    names = input_names(interface)
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
        case PromptInputs():
            return ("input_ids",)


def dynamic_axes(interface: Interface) -> dict[str, dict[int, str]]:
    """The axes that vary: the batch, and the length of texts."""
    axes = {0: "batch", 1: "length"} if isinstance(interface.inputs, TextInputs) else {0: "batch"}
    return {name: dict(axes) for name in input_names(interface)}


def tensors(feed: Feed, names: Sequence[str]) -> tuple[Tensor, ...]:
    """The feed's arrays as tensors, in the order of `names`."""
    return tuple(torch.from_numpy(feed[name]) for name in names)
