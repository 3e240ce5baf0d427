"""An image-text model with fixed captions, as a classifier of images.

In: a CLIP or SigLIP model, and the token ids of each label's captions. Out: a module from images to
logits `[batch, labels]`: the cosine of image and label, times the model's own scale, and with its
own bias where it has one (SigLIP), as transformers' `logits_per_image`. A label with several
captions stands for the mean of their directions (Radford et al., arXiv 2103.00020, section 3.1.4).
The text tower is asked once and then let go.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from deployopt.core.zero_shot import Padding, ZeroShot

_TOGETHER: Final = 64


class ZeroShotClassifier(nn.Module):  # type: ignore[misc] # torch is not followed
    """The image tower, its projection if any, and a constant matrix `[width, labels]`."""

    def __init__(self, model: nn.Module, classes: Tensor) -> None:
        super().__init__()
        self.vision_model = model.vision_model
        self.visual_projection = getattr(model, "visual_projection", None)
        self.register_buffer("classes", classes)
        self.register_buffer("bias", logit_bias(model))
        self.eval()

    def forward(self, pixel_values: Tensor, *, return_dict: bool = False) -> tuple[Tensor]:
        """The logits, as the first of a tuple like every model's of transformers."""
        del return_dict
        seen = self.vision_model(pixel_values=pixel_values, return_dict=True).pooler_output
        if self.visual_projection is not None:
            seen = self.visual_projection(seen)
        logits = normalize(seen, dim=-1) @ self.classes
        return (logits if self.bias is None else logits + self.bias,)


def logit_bias(model: nn.Module) -> Tensor | None:
    """What the model adds to every logit; None where it adds nothing."""
    bias = getattr(model, "logit_bias", None)
    return None if bias is None else bias.detach()


def zero_shot_classifier(model: nn.Module, fixed: ZeroShot) -> ZeroShotClassifier:
    """The classifier that the model is with these captions."""
    captions = [ids for several in fixed.captions for ids in several]
    with torch.no_grad():
        directions = _directions(model, captions, fixed.padding or None)
        means, start = [], 0
        for several in fixed.captions:
            means.append(directions[start : start + len(several)].mean(dim=0))
            start += len(several)
        classes = normalize(torch.stack(means), dim=-1) * model.logit_scale.exp()
    return ZeroShotClassifier(model, classes.t().contiguous())


def _directions(
    model: nn.Module, captions: Sequence[tuple[int, ...]], padding: Padding | None
) -> Tensor:
    """Each caption's place in the common space, `[captions, width]`, those of one length at once.

    Nothing is padded that the model did not learn to read padded.
    """
    found: list[Tensor] = [torch.empty(0)] * len(captions)
    order = sorted(range(len(captions)), key=lambda at: len(captions[at]))
    group: list[int] = []
    for place, at in enumerate(order):
        group.append(at)
        last = place + 1 == len(order) or len(captions[order[place + 1]]) != len(captions[at])
        if last or len(group) == _TOGETHER:
            given = _given([captions[one] for one in group], padding)
            texts = model.get_text_features(**given, return_dict=True).pooler_output
            for one, text in zip(group, normalize(texts, dim=-1), strict=True):
                found[one] = text
            group = []
    return torch.stack(found)


def _given(captions: Sequence[tuple[int, ...]], padding: Padding | None) -> dict[str, Tensor]:
    """The text tower's inputs for captions of one length."""
    ids = torch.tensor(captions)
    if padding is None:
        return {"input_ids": ids}
    whole = ids.new_full((len(ids), padding.length), padding.pad_id)
    whole[:, : ids.shape[1]] = ids
    if not padding.masked:
        return {"input_ids": whole}
    mask = torch.zeros_like(whole)
    mask[:, : ids.shape[1]] = 1
    return {"input_ids": whole, "attention_mask": mask}
