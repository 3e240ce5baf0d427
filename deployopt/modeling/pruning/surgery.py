"""Cutting a smaller encoder out of a larger one, and proving that nothing else changed.

In: a model, the shape to be left, scores. Out: an ordinary model of the same class, with a config
that says what it is. Refuses what no config could say.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import torch
from torch import Tensor
from transformers import PreTrainedModel

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.modeling.encoders import Encoder
from deployopt.modeling.hooks import switched_off
from deployopt.modeling.pruning.families import check_heads
from deployopt.modeling.pruning.scoring import Scores, best
from deployopt.modeling.pruning.shape import Shape

EXACT: Final = 1e-5
"""Of the greatest logit, or of one where that is less: float32's own noise stays well below."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What stays: layers, and by kept layer its heads and neurons, all by their old numbers."""

    layers: tuple[int, ...]
    heads: Mapping[int, tuple[int, ...]]
    neurons: Mapping[int, tuple[int, ...]]


def prune(
    model: PreTrainedModel, shape: Shape, scores: Scores, checked: Sequence[Feed] = ()
) -> PreTrainedModel:
    """A new model of `shape`, the parts with the highest scores kept; `model` stays as it is.

    On `checked` inputs its logits equal those of the whole model with the other parts masked.

    Raises:
        StepError: the shape cannot be said in the model's config, or the check failed.
    """
    kept = choose(Encoder(model), shape, scores)
    pruned = cut(model, kept)
    difference = largest_difference(model, pruned, kept, checked)
    if not difference <= EXACT:
        raise StepError(
            f"The pruned {model.config.model_type} model differs from the masked one by "
            f"{difference:.3g} of its greatest logit, where {EXACT:.0e} is allowed: its layers are "
            "built otherwise than expected. Leave out the pruning step for this model."
        )
    return pruned


def choose(encoder: Encoder, shape: Shape, scores: Scores) -> Kept:
    """Which heads and neurons stay: the best of each kept layer.

    Raises:
        StepError: larger than the model, or fewer heads where a config cannot say so.
    """
    whole = encoder.shape
    if not set(shape.layers) <= set(whole.layers) or not shape.layers:
        raise StepError(f"The layers to keep are {shape.layers}; the model has {whole.layers}.")
    if not 0 < shape.heads <= whole.heads or not 0 < shape.ffn <= whole.ffn:
        raise StepError(
            f"{shape.heads} heads and {shape.ffn} neurons cannot be left of {whole.heads} and "
            f"{whole.ffn}. Keep at least one of each."
        )
    check_heads(encoder.kind, whole, shape)
    return Kept(
        layers=shape.layers,
        heads={at: best(scores.heads[at], shape.heads) for at in shape.layers},
        neurons={at: best(scores.ffn[at], shape.ffn) for at in shape.layers},
    )


def cut(model: PreTrainedModel, kept: Kept) -> PreTrainedModel:
    """The model with the kept parts alone, made from its own new config."""
    encoder = Encoder(model)
    family, first = encoder.family, kept.layers[0]
    config = copy.deepcopy(model.config)
    setattr(config, family.layers_key, len(kept.layers))
    setattr(config, family.ffn_key, len(kept.neurons[first]))
    if family.head_dim_key is not None and len(kept.heads[first]) < encoder.shape.heads:
        setattr(config, family.head_dim_key, encoder.head_dim)
        setattr(config, family.heads_key, len(kept.heads[first]))
    pruned: PreTrainedModel = type(model)(config)
    weights = model.state_dict()
    pruned.load_state_dict(
        {name: _slice(name, weights, encoder, kept) for name in pruned.state_dict()}
    )
    return pruned.eval()


def largest_difference(
    model: PreTrainedModel, pruned: PreTrainedModel, kept: Kept, feeds: Sequence[Feed]
) -> float:
    """Between the pruned and the masked logits, as a share of the greatest (or of one)."""
    worst, scale = 0.0, 1.0
    encoder = Encoder(model)
    whole = encoder.shape
    gone = {
        "heads": {at: _without(whole.heads, kept.heads[at]) for at in kept.layers},
        "neurons": {at: _without(whole.ffn, kept.neurons[at]) for at in kept.layers},
    }
    dropped = _without(len(whole.layers), kept.layers)
    for feed in feeds:
        inputs = {name: torch.from_numpy(array) for name, array in feed.items()}
        with torch.inference_mode():
            with switched_off(encoder, layers=dropped, **gone):
                masked = model(**inputs, return_dict=False)[0]
            found = pruned(**inputs, return_dict=False)[0]
        worst = max(worst, float((masked - found).abs().nan_to_num(torch.inf).max()))
        scale = max(scale, float(masked.abs().max()))
    return worst / scale


def _without(count: int, kept: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(set(range(count)) - set(kept)))


def _slice(name: str, weights: Mapping[str, Tensor], encoder: Encoder, kept: Kept) -> Tensor:
    """The part of the old model's weights that stands under `name` in the new one."""
    if not name.startswith(encoder.prefix):
        return weights[name]
    number, _, rest = name.removeprefix(encoder.prefix).partition(".")
    old = kept.layers[int(number)]
    tensor = weights[f"{encoder.prefix}{old}.{rest}"]
    path, _, kind = rest.rpartition(".")
    family = encoder.family
    neurons = torch.tensor(kept.neurons[old])
    if path == family.up:
        return tensor[neurons]
    if path == family.down and kind == "weight":
        return tensor[:, neurons]
    rows = _head_rows(kept.heads[old], encoder.head_dim)
    if path in (family.query, family.key, family.value):
        return tensor[rows]
    if path == family.out and kind == "weight":
        return tensor[:, rows]
    return tensor


def _head_rows(heads: Sequence[int], width: int) -> Tensor:
    return (torch.tensor(heads)[:, None] * width + torch.arange(width)).flatten()
