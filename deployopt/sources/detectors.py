"""A detector's folder in Hugging Face form: what finds boxes, and how its outputs become them.

In: the config, the preprocessor's options, the weights' headers. Out: the form of its boxes, and
what it takes: images of one size. Refuses families whose boxes are decoded otherwise, a backbone
that is not transformers' own, and a preprocessor whose images differ in size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from deployopt.core.errors import UsageError
from deployopt.core.interface import BoxForm
from deployopt.sources.preprocessing import ImageFacts, read_preprocessor
from deployopt.sources.weights import Tensor

SUFFIX: Final = "ForObjectDetection"
OUTPUTS: Final = ("logits", "pred_boxes")
_QUERIES_MAX: Final = 10_000
_MATRIX: Final = 2
_BEST: Final = 100
_IMAGENET: Final = {
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
# As transformers' image processors of these families decode them; None keeps as many as queries.
_FORMS: Final[Mapping[str, tuple[Literal["softmax", "sigmoid"], int | None]]] = {
    "conditional_detr": ("sigmoid", _BEST),
    "deformable_detr": ("sigmoid", _BEST),
    "detr": ("softmax", None),
    "table-transformer": ("softmax", None),
    "yolos": ("softmax", None),
}
_QUERIES: Final = ("num_queries", "num_detection_tokens")


def box_form(config: Mapping[str, object], where: str) -> BoxForm:
    """How the family's outputs become boxes.

    Raises:
        UsageError: a family that is not read, or a backbone of another library.
    """
    family = config.get("model_type")
    known = _FORMS.get(family) if isinstance(family, str) else None
    if known is None:
        raise UsageError(
            f"{where} is of the type {family!r}; the detectors that are read are "
            f"{', '.join(_FORMS)}."
        )
    if config.get("use_timm_backbone"):
        raise UsageError(
            f"{where}: use_timm_backbone is set, so that the model is partly timm's. Give one "
            "whose backbone is transformers' own; DETR's repositories have it as the revision "
            "no_timm."
        )
    queries = next((config[name] for name in _QUERIES if name in config), _BEST)
    if not isinstance(queries, int) or not 1 <= queries <= _QUERIES_MAX:
        raise UsageError(f"{where}: the number of boxes a model answers is {queries!r}.")
    scores, most = known
    return BoxForm(scores=scores, most=most or queries)


def detector_inputs(options: Mapping[str, object], where: str) -> ImageFacts:
    """What a detector takes.

    Raises:
        UsageError: images of several sizes, or what read_preprocessor refuses.
    """
    size = options.get("size")
    if not isinstance(size, dict) or not {"height", "width"} <= set(size):
        raise UsageError(
            f"{where}: size is {size!r}, so that every image has a size of its own. A detector is "
            'deployed at one: set size to {"height": …, "width": …}, best the one that it was '
            "fine-tuned or is checked at; its mAP is then judged at that size."
        )
    if options.get("do_pad") and options.get("pad_size"):
        raise UsageError(f"{where}: pad_size is not supported. Leave it out, and set size.")
    return read_preprocessor({**_IMAGENET, **options, "do_center_crop": False}, where)


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
        if "class" in name and len(tensor.shape) == _MATRIX
    }
    if wanted not in heads:
        found = ", ".join(str(size) for size in sorted(heads)) or "none"
        raise UsageError(
            f"{folder}: its config names {len(labels)} labels, for which a head of {wanted} "
            f"classes is needed, and the weights have {found}. Set id2label to the labels that it "
            "was trained with."
        )
