"""How much each channel of a group matters.

As scoring.py: taylor weighs by the first-order change of the loss if the channel went, activation
by its size times that of the weights which read it, magnitude by weights alone. A channel goes
where it is read: a gate at every reading layer, shared by the group, has the sum of the changes as
its gradient, for each example alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.modeling.pruning.channel_groups import Channels
from deployopt.modeling.pruning.scoring import Floats, Importance
from deployopt.modeling.wrapping import Logits

_IMAGE = 4


def channel_scores(
    model: Logits, groups: Sequence[Channels], batches: Sequence[Feed], method: Importance
) -> list[Floats]:
    """A score a channel, larger for what matters more, for each group.

    Raises:
        StepError: numbers that are not finite.
    """
    if method is Importance.MAGNITUDE or not batches:
        sums = [_magnitudes(model.model, group) for group in groups]
    else:
        measure = _taylor if method is Importance.TAYLOR else _activations
        sums = [torch.zeros(group.width) for group in groups]
        for batch in batches:
            inputs = [torch.from_numpy(batch[name]) for name in model.names]
            measure(model, groups, inputs, sums)
    found = [each.double().numpy() for each in sums]
    if not all(np.isfinite(each).all() for each in found):
        raise StepError(
            f"The importance by {method} holds numbers that are not finite. Check the model's "
            "weights, or take importance='magnitude'."
        )
    return found


def _taylor(
    model: Logits, groups: Sequence[Channels], inputs: Sequence[Tensor], sums: list[Tensor]
) -> None:
    count = len(inputs[0])
    gates = [torch.ones(count, group.width, requires_grad=True) for group in groups]

    def gated(at: int) -> Callable[..., tuple[Tensor, ...]]:
        def gate(module: nn.Module, read: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # noqa: ARG001 -- the hook's form
            return (read[0] * _like(gates[at], read[0]), *read[1:])

        return gate

    with torch.enable_grad(), _reading(model.model, groups, gated):
        logits = model(*inputs)
        loss = functional.cross_entropy(logits, logits.detach().argmax(dim=1), reduction="sum")
        gradients = torch.autograd.grad(loss, gates, allow_unused=True)
    for at, gradient in enumerate(gradients):
        if gradient is not None:
            sums[at] += gradient.abs().sum(dim=0)


def _activations(
    model: Logits, groups: Sequence[Channels], inputs: Sequence[Tensor], sums: list[Tensor]
) -> None:
    def noted(at: int) -> Callable[..., None]:
        def note(module: nn.Module, read: tuple[Tensor, ...]) -> None:
            squares = read[0].square()
            squares = squares.flatten(2).mean(dim=2) if squares.dim() == _IMAGE else squares
            sums[at] += squares.sum(dim=0) * _columns(module)

        return note

    with torch.no_grad(), _reading(model.model, groups, noted):
        model(*inputs)


def _magnitudes(model: nn.Module, group: Channels) -> Tensor:
    """What reads a channel times what scales it: weights before a normalization have no size."""
    read = torch.zeros(group.width)
    for name in group.readers:
        read += _columns(model.get_submodule(name))
    scale = torch.zeros(group.width)
    layers: Mapping[str, nn.Module] = {n: model.get_submodule(n) for n in group.writers}
    norms = [layer for layer in layers.values() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms or layers.values():
        scale += layer.weight.detach().square().reshape(group.width, -1).sum(dim=1)
    return (read * scale).sqrt()


@contextmanager
def _reading(
    model: nn.Module, groups: Sequence[Channels], hook: Callable[[int], Callable[..., object]]
) -> Iterator[None]:
    with ExitStack() as stack:
        for at, group in enumerate(groups):
            for name in group.readers:
                layer = model.get_submodule(name)
                stack.callback(layer.register_forward_pre_hook(hook(at)).remove)
        yield


def _columns(layer: nn.Module) -> Tensor:
    """The squared norm of the weights that read each input."""
    weight: Tensor = layer.weight.detach()
    return weight.transpose(0, 1).flatten(1).square().sum(dim=1)


def _like(gate: Tensor, read: Tensor) -> Tensor:
    return gate[:, :, None, None] if read.dim() == _IMAGE else gate
