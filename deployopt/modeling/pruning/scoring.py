"""How much each layer, head and feed-forward neuron of an encoder matters.

In: a model and real inputs, no labels. Out: a number each, larger for what matters more, comparable
within its kind. Three ways:

- taylor: |activation x gradient| summed over tokens, the first-order change of the loss if the part
  went (Michel et al. 2019; Molchanov et al. 2019). The loss is the cross-entropy against the
  model's own answers, so what counts is what an answer near the border hangs on.
- activation: sizes of activations times the norm of the weights that read them (Wanda's measure);
  of a layer, one minus the cosine of its input and output (ShortGPT). Needs no gradient.
- magnitude: norms of weights alone, for want of inputs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.modeling.batching import MASK
from deployopt.modeling.encoders import Encoder
from deployopt.modeling.hooks import LayerWatch, hooked

Floats = npt.NDArray[np.float64]


class Importance(StrEnum):
    """How scores come about."""

    TAYLOR = "taylor"
    ACTIVATION = "activation"
    MAGNITUDE = "magnitude"


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """`layers` [layers], `heads` [layers, heads], `ffn` [layers, neurons]."""

    method: Importance
    layers: Floats
    heads: Floats
    ffn: Floats


def scores(
    model: PreTrainedModel, batches: Sequence[Feed], method: Importance = Importance.TAYLOR
) -> Scores:
    """Scores over all batches, which may be padded where they have an attention mask.

    Without batches the magnitudes of weights are taken. The model is left as it was.

    Raises:
        StepError: a family that is not known, or scores that are no finite numbers.
    """
    encoder = Encoder(model)
    if not batches or method is Importance.MAGNITUDE:
        return _magnitudes(encoder)
    shape = encoder.shape
    sums = _Sums(
        layers=torch.zeros(len(shape.layers)),
        heads=torch.zeros(len(shape.layers), shape.heads),
        ffn=torch.zeros(len(shape.layers), shape.ffn),
    )
    measure = _taylor if method is Importance.TAYLOR else _activations
    with _no_weight_gradients(model):
        for batch in batches:
            measure(encoder, {name: torch.from_numpy(array) for name, array in batch.items()}, sums)
    if method is Importance.ACTIVATION:
        sums.heads.sqrt_().mul_(_per_head(encoder, _columns(encoder, encoder.family.out)))
        sums.ffn.sqrt_().mul_(_columns(encoder, encoder.family.down))
    return _finished(method, sums)


def best(values: Floats, count: int) -> tuple[int, ...]:
    """The positions of the `count` greatest, in rising order; the first wins a tie."""
    return tuple(sorted(np.argsort(-values, kind="stable")[:count].tolist()))


class _Sums(msgspec.Struct, kw_only=True):
    layers: Tensor
    heads: Tensor
    ffn: Tensor


def _finished(method: Importance, sums: _Sums) -> Scores:
    parts = [tensor.double().numpy() for tensor in (sums.layers, sums.heads, sums.ffn)]
    if not all(np.isfinite(part).all() for part in parts):
        raise StepError(
            f"The importance by {method} holds numbers that are not finite. Check the model's "
            "weights, or take importance='magnitude'."
        )
    return Scores(method=method, layers=parts[0], heads=parts[1], ffn=parts[2])


def _taylor(encoder: Encoder, inputs: dict[str, Tensor], sums: _Sums) -> None:
    with torch.enable_grad(), hooked(encoder, gradients=True) as watch:
        logits = encoder.model(**inputs, return_dict=False)[0]
        functional.cross_entropy(logits, logits.detach().argmax(dim=1), reduction="sum").backward()
    for layer in range(len(encoder.layers)):
        seen = watch[layer]
        change = (seen.output.detach() - seen.input.detach()) * _gradient(seen.output)
        sums.layers[layer] += change.sum(dim=-1).abs().sum()
        neurons = seen.neurons.detach() * _gradient(seen.neurons)
        sums.ffn[layer] += _over_tokens(neurons.abs())
        context = _by_head(seen.context.detach() * _gradient(seen.context), sums.heads.shape[1])
        sums.heads[layer] += _over_tokens(context.sum(dim=-1).abs())


def _activations(encoder: Encoder, inputs: dict[str, Tensor], sums: _Sums) -> None:
    with torch.no_grad(), hooked(encoder, gradients=False) as watch:
        encoder.model(**inputs, return_dict=False)
    for layer in range(len(encoder.layers)):
        seen = watch[layer]
        real = _real(inputs, seen)
        cosine = functional.cosine_similarity(seen.input, seen.output, dim=-1)
        sums.layers[layer] += ((1 - cosine) * real).sum()
        sums.ffn[layer] += _over_tokens(seen.neurons.square() * real.unsqueeze(-1))
        context = _by_head(seen.context.square(), sums.heads.shape[1]).sum(dim=-1)
        sums.heads[layer] += _over_tokens(context * real.unsqueeze(-1))


def _real(inputs: dict[str, Tensor], seen: LayerWatch) -> Tensor:
    """1 for a token, 0 for padding, `[batch, tokens]`."""
    mask = inputs.get(MASK)
    return torch.ones(seen.output.shape[:2]) if mask is None else mask.to(torch.float32)


def _over_tokens(values: Tensor) -> Tensor:
    return values.flatten(0, -2).sum(dim=0)


def _by_head(values: Tensor, heads: int) -> Tensor:
    return values.unflatten(-1, (heads, -1))


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


@contextmanager
def _no_weight_gradients(model: PreTrainedModel) -> Iterator[None]:
    """Only activations' gradients are asked for, which is half of the work."""
    wanted = [(weight, weight.requires_grad) for weight in model.parameters()]
    was_training = model.training
    model.eval()
    try:
        for weight, _ in wanted:
            weight.requires_grad_(requires_grad=False)
        yield
    finally:
        for weight, before in wanted:
            weight.requires_grad_(requires_grad=before)
        model.train(was_training)


def _magnitudes(encoder: Encoder) -> Scores:
    """A neuron's two vectors multiplied, as it multiplies; a head's values and their reading."""
    family = encoder.family
    neurons = _rows(encoder, family.up) * _columns(encoder, family.down)
    values = _per_head(encoder, _rows(encoder, family.value))
    heads = values * _per_head(encoder, _columns(encoder, family.out))
    layers = heads.square().sum(dim=1).sqrt() + neurons.square().sum(dim=1).sqrt()
    return _finished(Importance.MAGNITUDE, _Sums(layers=layers, heads=heads, ffn=neurons))


def _rows(encoder: Encoder, path: str) -> Tensor:
    """Norms of the rows of a projection, `[layers, rows]`."""
    return _norms(encoder, path, dim=1)


def _columns(encoder: Encoder, path: str) -> Tensor:
    return _norms(encoder, path, dim=0)


def _norms(encoder: Encoder, path: str, *, dim: int) -> Tensor:
    weights = [encoder.part(at, path).weight.detach() for at in range(len(encoder.layers))]
    return torch.stack([weight.norm(dim=dim) for weight in weights])


def _per_head(encoder: Encoder, norms: Tensor) -> Tensor:
    """`[layers, heads]` of `[layers, heads x head width]`."""
    return _by_head(norms, encoder.shape.heads).norm(dim=-1)
