"""Channels that can only go together, as torch-pruning's dependency graph finds them.

In: a model that gives logits, one input, and how many outputs each layer is to keep. Out: a group
for each set of layers that share their channels. Refuses what cannot be traced, naming the block.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import torch
import torch_pruning
from torch import Tensor, nn

from deployopt.core.errors import StepError
from deployopt.modeling.wrapping import Logits

_LAYERS: Final = (nn.Conv2d, nn.Linear)
_NORM: Final = nn.BatchNorm2d
_INNER: Final = "model."


class Channels:
    """One group: the layers that make these channels, and those that read them, by name."""

    def __init__(
        self, graph: torch_pruning.DependencyGraph, root: nn.Module, width: int, target: int
    ) -> None:
        self.width, self.target = width, target
        self.writers: list[str] = []
        self.readers: list[str] = []
        self._graph, self._root = graph, root

    def cut(self, stay: Sequence[int]) -> None:
        """Take the other channels out of the traced model, wherever they are made or read."""
        gone = sorted(set(range(self.width)) - set(stay))
        if gone:
            self._group(gone).prune()

    def members(self) -> list[tuple[nn.Module, bool, int]]:
        """Each layer of the group, whether it makes the channels, and how many it has of them."""
        return [
            (dep.target.module, self._graph.is_out_channel_pruning_fn(dep.handler), len(rows))
            for dep, rows in self._group(range(self.width))
        ]

    def _group(self, rows: Sequence[int]) -> torch_pruning.Group:
        prune = torch_pruning.prune_conv_out_channels
        if isinstance(self._root, nn.Linear):
            prune = torch_pruning.prune_linear_out_channels
        return self._graph.get_pruning_group(self._root, prune, list(rows))


def channel_groups(
    model: Logits, example: Mapping[str, Tensor], widths: Mapping[str, int]
) -> list[Channels]:
    """The groups that lose channels; `widths` are what is to be left of each layer, by name.

    Raises:
        StepError: a block that cannot be traced, or that does not lose what the rest loses.
    """
    graph = _traced(model, example)
    names = {module: name.removeprefix(_INNER) for name, module in model.named_modules()}
    found: list[Channels] = []
    seen: set[str] = set()
    for module, name in names.items():
        if not isinstance(module, _LAYERS) or name in seen or name not in widths:
            continue
        width = len(module.weight)
        if width == widths[name]:
            continue
        if module not in graph.module2node:
            raise _untraced(name, "it is not reached from the input")
        group = Channels(graph, module, width, widths[name])
        _sort_members(group, names)
        _check_widths(group, widths)
        seen.update(group.writers)
        found.append(group)
    return found


def _traced(model: Logits, example: Mapping[str, Tensor]) -> torch_pruning.DependencyGraph:
    inputs = tuple(example[name] for name in model.names)
    for weight in model.parameters():
        weight.requires_grad_(requires_grad=True)
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch_pruning.DependencyGraph().build_dependency(model, inputs, verbose=False)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _untraced(type(model.model).__name__, f"torch-pruning says: {error}") from error


def _sort_members(group: Channels, names: Mapping[nn.Module, str]) -> None:
    """Fill `writers` and `readers`."""
    for module, writes, count in group.members():
        name = names.get(module)
        if name is None:  # an addition, an activation: nothing is cut of them
            continue
        if count != group.width:
            raise _untraced(name, f"{group.width} channels are {count} in it")
        if isinstance(module, _LAYERS) and not writes and getattr(module, "groups", 1) == 1:
            group.readers.append(name)
        elif isinstance(module, (*_LAYERS, _NORM)):
            group.writers.append(name)
        elif list(module.parameters(recurse=False)):
            raise _untraced(name, f"a {type(module).__name__} works over all channels at once")


def _check_widths(group: Channels, widths: Mapping[str, int]) -> None:
    """Every layer that makes the channels must be left with the same number of them."""
    for name in group.writers:
        left = widths.get(name, group.target)
        if left != group.target:
            raise _untraced(
                name,
                f"it is to keep {left} channels, and hangs together with layers that keep "
                f"{group.target}",
            )


def _untraced(name: str, why: str) -> StepError:
    return StepError(
        f"The channels of the block {name} cannot be traced: {why}. Leave the pruning step out for "
        "this model, or keep all its channels."
    )
