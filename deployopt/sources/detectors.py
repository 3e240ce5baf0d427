"""A detector's folder in Hugging Face form: what finds boxes, and how its outputs become them.

In: the config, the preprocessor's options, the weights' headers. Out: the form of its boxes, and
what it takes: images of one size. Refuses families whose boxes are decoded otherwise, a backbone
that is not transformers' own, and a preprocessor whose images differ in size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.interface import BoxForm
from deployopt.sources.preprocessing import ImageFacts, read_preprocessor
from deployopt.sources.weights import Tensor

SUFFIX: Final = "ForObjectDetection"
OUTPUTS: Final = ("logits", "pred_boxes")
_QUERIES_MAX: Final = 10_000
_MATRIX: Final = 2
_BEST: Final = 100
_IMAGENET: Final[Mapping[str, object]] = {
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
_PLAIN: Final[Mapping[str, object]] = {
    "do_normalize": False,
    "size": {"height": 640, "width": 640},
}
# RT-DETR's embedding of classes while it learns, which has one more.
_TAUGHT: Final = "denoising"
_TIMM: Final = "timm_backbone"


class _Family(msgspec.Struct, frozen=True, kw_only=True):
    """As transformers' image processor of the family decodes boxes and prepares images."""

    scores: Literal["softmax", "sigmoid"]
    most: int | None = None
    """None keeps as many as there are queries."""
    usual: Mapping[str, object]
    """Where preprocessor_config.json is silent."""


_FAMILIES: Final[Mapping[str, _Family]] = {
    "conditional_detr": _Family(scores="sigmoid", most=_BEST, usual=_IMAGENET),
    "deformable_detr": _Family(scores="sigmoid", most=_BEST, usual=_IMAGENET),
    "detr": _Family(scores="softmax", usual=_IMAGENET),
    "rt_detr": _Family(scores="sigmoid", usual=_PLAIN),
    "rt_detr_v2": _Family(scores="sigmoid", usual=_PLAIN),
    "table-transformer": _Family(scores="softmax", usual=_IMAGENET),
    "yolos": _Family(scores="softmax", usual=_IMAGENET),
}
_QUERIES: Final = ("num_queries", "num_detection_tokens")


def box_form(config: Mapping[str, object], where: str) -> BoxForm:
    """How the family's outputs become boxes.

    Raises:
        UsageError: a family that is not read, or a backbone of another library.
    """
    family = _family(config, where)
    backbone = config.get("backbone_config")
    kind = backbone.get("model_type") if isinstance(backbone, dict) else None
    if config.get("use_timm_backbone") or kind == _TIMM:
        raise UsageError(
            f"{where}: use_timm_backbone is set, so that the model is partly timm's. Give one "
            "whose backbone is transformers' own; DETR's repositories have it as the revision "
            "no_timm."
        )
    if config.get("learn_initial_query"):
        raise UsageError(
            f"{where}: learn_initial_query is set, and transformers cannot run such a model: its "
            "embedding has no method tile. Train one without it."
        )
    queries = next((config[name] for name in _QUERIES if name in config), _BEST)
    if not isinstance(queries, int) or not 1 <= queries <= _QUERIES_MAX:
        raise UsageError(f"{where}: the number of boxes a model answers is {queries!r}.")
    return BoxForm(scores=family.scores, most=family.most or queries)


def detector_inputs(
    config: Mapping[str, object], options: Mapping[str, object], where: str
) -> ImageFacts:
    """What a detector takes; `options` are its preprocessor's.

    Raises:
        UsageError: images of several sizes, or what read_preprocessor refuses.
    """
    options = {**_family(config, where).usual, **options}
    size = options.get("size")
    if not isinstance(size, dict) or not {"height", "width"} <= set(size):
        raise UsageError(
            f"{where}: size is {size!r}, so that every image has a size of its own. A detector is "
            'deployed at one: set size to {"height": …, "width": …}, best the one that it was '
            "fine-tuned or is checked at; its mAP is then judged at that size."
        )
    if options.get("do_pad") and options.get("pad_size"):
        raise UsageError(f"{where}: pad_size is not supported. Leave it out, and set size.")
    facts = read_preprocessor({**options, "do_center_crop": False}, where)
    _check_anchors(config, facts, where)
    return facts


def check_detector_head(
    tensors: Mapping[str, Tensor], labels: tuple[str, ...], form: BoxForm, folder: Path
) -> None:
    """A missing head would be filled with random weights, and a wrong one misread.

    Raises:
        UsageError: no head of as many classes.
    """
    wanted = len(labels) + (form.scores == "softmax")
    heads = {
        tensor.shape[0]
        for name, tensor in tensors.items()
        if "class" in name and _TAUGHT not in name and len(tensor.shape) == _MATRIX
    }
    if wanted not in heads:
        found = ", ".join(str(size) for size in sorted(heads)) or "none"
        raise UsageError(
            f"{folder}: its config names {len(labels)} labels, for which a head of {wanted} "
            f"classes is needed, and the weights have {found}. Set id2label to the labels that it "
            "was trained with."
        )


def _check_anchors(config: Mapping[str, object], facts: ImageFacts, where: str) -> None:
    """RT-DETR may have anchors of one size of images, which it then answers for alone."""
    given = config.get("anchor_image_size")
    sides = [given, given] if isinstance(given, int) else given
    found = [facts.inputs.height, facts.inputs.width]
    if sides and sides != found:
        raise UsageError(
            f"{where}: size is {found[0]} x {found[1]}, and the model's anchors are of images of "
            f"{given} (anchor_image_size in config.json). Set both alike, or leave the latter out."
        )


def _family(config: Mapping[str, object], where: str) -> _Family:
    named = config.get("model_type")
    known = _FAMILIES.get(named) if isinstance(named, str) else None
    if known is None:
        raise UsageError(
            f"{where} is of the type {named!r}; the detectors that are read are "
            f"{', '.join(_FAMILIES)}."
        )
    return known
