"""An image-text model with fixed captions, as a classifier of images.

In: a CLIP model, and the token ids of each label's captions. Out: a module from images to logits
`[batch, labels]`: the cosine of image and label, times the model's own scale, as transformers'
`logits_per_image`. A label with several captions stands for the mean of their directions (Radford
et al., arXiv 2103.00020, section 3.1.4). The text tower is asked once and then let go.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from deployopt.core.zero_shot import ZeroShot

_TOGETHER: Final = 64


class ZeroShotClassifier(nn.Module):  # type: ignore[misc] # torch is not followed
    """The image tower, its projection, and a constant matrix `[width, labels]` of the labels."""

    def __init__(self, model: nn.Module, classes: Tensor) -> None:
        super().__init__()
        self.vision_model = model.vision_model
        self.visual_projection = model.visual_projection
        self.register_buffer("classes", classes)
        self.eval()

    def forward(self, pixel_values: Tensor, *, return_dict: bool = False) -> tuple[Tensor]:
        """The logits, as the first of a tuple like every model's of transformers."""
        del return_dict
        seen = self.vision_model(pixel_values=pixel_values, return_dict=True).pooler_output
        return (normalize(self.visual_projection(seen), dim=-1) @ self.classes,)


def zero_shot_classifier(model: nn.Module, fixed: ZeroShot) -> ZeroShotClassifier:
    """The classifier that the model is with these captions."""
    captions = [ids for several in fixed.captions for ids in several]
    with torch.no_grad():
        directions = _directions(model, captions)
        means, start = [], 0
        for several in fixed.captions:
            means.append(directions[start : start + len(several)].mean(dim=0))
            start += len(several)
        classes = normalize(torch.stack(means), dim=-1) * model.logit_scale.exp()
    return ZeroShotClassifier(model, classes.t().contiguous())


def _directions(model: nn.Module, captions: Sequence[tuple[int, ...]]) -> Tensor:
    """Each caption's place in the common space, `[captions, width]`, those of one length at once.

    Nothing is padded, so that nothing has to be masked.
    """
    found: list[Tensor] = [torch.empty(0)] * len(captions)
    order = sorted(range(len(captions)), key=lambda at: len(captions[at]))
    group: list[int] = []
    for place, at in enumerate(order):
        group.append(at)
        last = place + 1 == len(order) or len(captions[order[place + 1]]) != len(captions[at])
        if last or len(group) == _TOGETHER:
            ids = torch.tensor([captions[one] for one in group])
            texts = model.get_text_features(input_ids=ids, return_dict=True).pooler_output
            for one, text in zip(group, normalize(texts, dim=-1), strict=True):
                found[one] = text
            group = []
    return torch.stack(found)
