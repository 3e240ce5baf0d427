"""Which layers of a language model lose the most when their weights are rounded.

In: an open model, documents, a rounding. Out: for every matrix product of its layers what rounding
its weights is expected to add to the negative log-likelihood, in nats. To second order that is half
of the sum over weights of F e**2: e is the rounding's error, F the likelihood's Fisher information,
whose diagonal is the mean of squared gradients (Dong et al., HAWQ-V2, 2020, and Kim et al.,
SqueezeLLM, 2024, rank layers so). One pass forwards and backwards over each document is enough;
gradients are used as they come, one matrix in memory at a time.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import torch
from torch import nn
from torch.nn.functional import cross_entropy

Rounding: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
_LAYER: Final = re.compile(r"(^|\.)layers?\.\d+\.|(^|\.)h\.\d+\.")
_TOGETHER: Final = re.compile(r"\.[qkv]_proj$")
"""Built as one product, so that they share their bits."""


def expected_losses(
    model: nn.Module, documents: Sequence[torch.Tensor], rounded: Rounding
) -> dict[str, float]:
    """By the module's name, the mean over documents; documents are `[1, length]` token ids."""
    products = dict(_products(model))
    for parameter in model.parameters():
        parameter.requires_grad_(requires_grad=False)
    found = dict.fromkeys(products, 0.0)
    hooks = [_watch(module.weight, name, rounded, found) for name, module in products.items()]
    try:
        for ids in documents:
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
            cross_entropy(logits, ids[0, 1:], reduction="sum").backward()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: loss / 2 / max(1, len(documents)) for name, loss in found.items()}


def most_sensitive(model: nn.Module, losses: Mapping[str, float], share: float) -> tuple[str, ...]:
    """Modules with at most `share` of the layers' weights, by loss for each weight."""
    units: dict[str, list[str]] = {}
    for name in losses:
        units.setdefault(_TOGETHER.sub("", name), []).append(name)
    sizes = {name: module.weight.numel() for name, module in _products(model)}
    size = {unit: sum(sizes[name] for name in names) for unit, names in units.items()}
    loss = {unit: sum(losses[name] for name in names) for unit, names in units.items()}
    left = share * sum(size.values())
    chosen: list[str] = []
    for unit in sorted(units, key=lambda unit: -loss[unit] / size[unit]):
        if size[unit] <= left:
            left -= size[unit]
            chosen += units[unit]
    return tuple(sorted(chosen))


def _products(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """The matrix products within layers: not the head's."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and _LAYER.search(name):
            yield name, module


def _watch(
    weight: nn.Parameter, name: str, rounded: Rounding, found: dict[str, float]
) -> torch.utils.hooks.RemovableHandle:
    weight.requires_grad_()
    weight.grad = None

    def seen(_: torch.Tensor) -> None:
        if weight.grad is None:
            return
        with torch.no_grad():
            error = rounded(weight) - weight
            found[name] += float((weight.grad * error).square_().sum())
        weight.grad = None

    return weight.register_post_accumulate_grad_hook(seen)
