"""A narrower convolution net cut out of a wider one, by torch-pruning's dependency graph.

In: a model, a config of the same class with smaller widths, real inputs. Out: a model of that
config whose channels are the old one's best, so that it loads, saves and exports as any other.
Which channels hang together (over shortcuts, depthwise convolutions, squeeze and excitation) is
traced; how many stay in each such group is what the smaller config says. The cut is checked against
the whole model with the same channels silenced. Refuses what cannot be traced, and says where.
"""

import copy
from collections.abc import Sequence
from typing import Final

import msgspec
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.modeling.pruning.channel_groups import Channels, channel_groups
from deployopt.modeling.pruning.channel_scores import channel_scores
from deployopt.modeling.pruning.scoring import Importance, best
from deployopt.modeling.pruning.surgery import EXACT
from deployopt.modeling.pruning.widths import narrower
from deployopt.modeling.wrapping import Logits

_REMEDY: Final = "Leave the pruning step out for this model, or keep all its channels."


class Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    """The narrower model, and how its channels were chosen."""

    model: PreTrainedModel
    method: Importance
    channels: int
    """In all groups, before."""
    kept: int


def narrow(
    model: PreTrainedModel,
    share: float,
    batches: Sequence[Feed],
    method: Importance = Importance.TAYLOR,
    checked: Sequence[Feed] = (),
) -> Narrowed:
    """A new model with about `share` of the channels; `model` stays as it is.

    `batches` are inputs to weigh channels by; without any, magnitudes of weights decide. On
    `checked` inputs the logits equal those of the whole model with the other channels silenced.

    Raises:
        StepError: the config cannot say it, a block cannot be traced, or the check failed.
    """
    small = _smaller_model(model, share)
    example = _example(batches, checked)
    names = tuple(example)
    whole = Logits(copy.deepcopy(model).eval(), names)
    groups = channel_groups(whole, example, _widths(model, small))
    used = method if batches else Importance.MAGNITUDE
    found = channel_scores(whole, groups, batches, used)
    kept = [best(score, group.target) for score, group in zip(found, groups, strict=True)]
    silenced = _silenced(model, names, groups, kept)
    for group, stay in zip(groups, kept, strict=True):
        group.cut(stay)
    _load(small, whole.model)
    _check(Logits(small, names), silenced, checked, str(model.config.model_type))
    return Narrowed(
        model=small,
        method=used,
        channels=sum(group.width for group in groups),
        kept=sum(group.target for group in groups),
    )


def _smaller_model(model: PreTrainedModel, share: float) -> PreTrainedModel:
    config = copy.deepcopy(model.config)
    for key, value in narrower(model.config.to_dict(), share).items():
        setattr(config, key, value)
    small: PreTrainedModel = type(model)(config)
    return small.eval()


def _widths(model: PreTrainedModel, small: PreTrainedModel) -> dict[str, int]:
    """How many outputs each layer is to keep, by its name.

    Raises:
        StepError: the smaller config makes other layers.
    """
    before = {name: weight for name, weight in model.named_parameters() if weight.dim() > 1}
    after = {name: weight for name, weight in small.named_parameters() if weight.dim() > 1}
    if before.keys() != after.keys():
        different = sorted(before.keys() ^ after.keys())
        raise StepError(
            f"A narrower {model.config.model_type} model is built otherwise: {different[0]} is in "
            f"one of them only. Keep more channels. {_REMEDY}"
        )
    return {name.removesuffix(".weight"): len(weight) for name, weight in after.items()}


def _example(batches: Sequence[Feed], checked: Sequence[Feed]) -> dict[str, Tensor]:
    """One input to trace with."""
    for feed in (*batches, *checked):
        return {name: torch.from_numpy(array[:1]) for name, array in feed.items()}
    raise StepError("Pruning channels needs an input of the model's size to trace it with.")


def _silenced(
    model: PreTrainedModel,
    names: tuple[str, ...],
    groups: Sequence[Channels],
    kept: Sequence[Sequence[int]],
) -> Logits:
    """A copy of the whole model in which the channels that go are zero wherever they are made."""
    masked = copy.deepcopy(model).eval()
    with torch.no_grad():
        for group, stay in zip(groups, kept, strict=True):
            gone = sorted(set(range(group.width)) - set(stay))
            for name in group.writers:
                layer = masked.get_submodule(name)
                for part in (layer.weight, layer.bias):
                    if part is not None:
                        part[gone] = 0
    return Logits(masked, names)


def _load(small: PreTrainedModel, cut: nn.Module) -> None:
    weights = cut.state_dict()
    wrong = [
        f"{name} is {list(weights[name].shape)} and would be {list(there.shape)}"
        for name, there in small.state_dict().items()
        if name not in weights or weights[name].shape != there.shape
    ]
    if wrong:
        raise StepError(
            f"What was cut does not fit the {small.config.model_type} model of the smaller "
            f"config: {wrong[0]}. {_REMEDY}"
        )
    small.load_state_dict(weights)


def _check(small: Logits, silenced: Logits, feeds: Sequence[Feed], kind: str) -> None:
    worst, scale = 0.0, 1.0
    for feed in feeds:
        inputs = [torch.from_numpy(feed[name]) for name in small.names]
        with torch.inference_mode():
            masked, found = silenced(*inputs), small(*inputs)
        worst = max(worst, float((masked - found).abs().nan_to_num(torch.inf).max()))
        scale = max(scale, float(masked.abs().max()))
    if not worst / scale <= EXACT:
        raise StepError(
            f"The narrower {kind} model differs from the one with silenced channels by "
            f"{worst / scale:.3g} of its greatest logit, where {EXACT:.0e} is allowed: its blocks "
            f"are built otherwise than they were traced. Keep another share of its channels. "
            f"{_REMEDY}"
        )
