"""How long, how fast and on what a model is fine-tuned: by task, method and number of examples.

In: a task, a method, counts. Out: epochs, learning rate, warm-up, batch, rank, augmentation. Rules
of thumb with their sources beside them; memory and hours are worked out elsewhere.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from deployopt.core.memory import Method
from deployopt.core.tasks import ModelTask

FEW: Final = 1_000
"""Labelled examples below which few parameters are trained: a rule of thumb."""
FULL_FROM: Final[Mapping[ModelTask, int]] = {
    # LoRA matches full fine-tuning of a language model on 14 000 to 400 000 examples (2106.09685,
    # tables 2 and 4).
    ModelTask.TEXT_GENERATION: 100_000,
    ModelTask.TEXT_TO_IMAGE: 1_000_000,
    ModelTask.IMAGE_TEXT: 100_000,
}
"""Examples from which all parameters are worth training, where that is not `FEW`."""

_EPOCHS: Final[Mapping[str, tuple[tuple[float, int], ...]]] = {
    # BERT was fine-tuned for 2 to 4 epochs (1810.04805, A.3); on few examples 10 or more are
    # steadier (Mosbach 2006.04884).
    "text": ((1e3, 10), (1e4, 4), (1e5, 3), (1e6, 2), (float("inf"), 1)),
    "generation": ((1e3, 5), (1e4, 3), (1e5, 2), (float("inf"), 1)),
    "image": ((1e3, 50), (1e4, 30), (1e5, 15), (1e6, 5), (float("inf"), 2)),
    "detection": ((1e3, 100), (1e4, 60), (1e5, 30), (float("inf"), 12)),
    "speech": ((1e3, 10), (1e4, 5), (1e5, 3), (float("inf"), 1)),
    "drawing": ((1e3, 100), (1e4, 20), (1e5, 5), (float("inf"), 1)),
}
_EPOCH_KIND: Final[Mapping[ModelTask, str]] = {
    ModelTask.TEXT_GENERATION: "generation",
    ModelTask.TRANSLATION: "generation",
    ModelTask.SUMMARIZATION: "generation",
    ModelTask.FEATURE_EXTRACTION: "generation",
    ModelTask.IMAGE_CLASSIFICATION: "image",
    ModelTask.IMAGE_TEXT: "image",
    ModelTask.OBJECT_DETECTION: "detection",
    ModelTask.IMAGE_SEGMENTATION: "detection",
    ModelTask.TEXT_TO_IMAGE: "drawing",
    ModelTask.SPEECH_RECOGNITION: "speech",
}
_EFFECTIVE: Final[Mapping[ModelTask, int]] = {
    ModelTask.TEXT_GENERATION: 64,
    ModelTask.FEATURE_EXTRACTION: 128,  # the other pairs of the batch are the negatives
    ModelTask.IMAGE_CLASSIFICATION: 128,
    ModelTask.IMAGE_TEXT: 128,
    ModelTask.OBJECT_DETECTION: 64,
    ModelTask.IMAGE_SEGMENTATION: 64,
    ModelTask.TEXT_TO_IMAGE: 128,
    ModelTask.SPEECH_RECOGNITION: 32,
}
_TEXT_BATCH: Final = 32
_SMALL: Final = 50_000_000
_LARGE: Final = 200_000_000
_FULL_RATES: Final[Mapping[ModelTask, float]] = {
    ModelTask.TEXT_GENERATION: 2e-5,
    ModelTask.TEXT_TO_IMAGE: 1e-5,  # diffusers' own
    ModelTask.SPEECH_RECOGNITION: 1e-5,  # transformers' own line for Whisper
    ModelTask.IMAGE_TEXT: 1e-5,
    ModelTask.OBJECT_DETECTION: 5e-5,
    ModelTask.IMAGE_SEGMENTATION: 6e-5,  # SegFormer, 2105.15203
}
_LORA_RATE: Final = 2e-4
_LORA_RATE_LARGE: Final = 1e-4
_PREFIX_RATE: Final = 5e-3  # P-tuning v2 (2110.07602) on encoders
_LORA_LARGE: Final = 13_000_000_000
_RANKS: Final = ((1e3, 8), (1e4, 16), (1e5, 32), (float("inf"), 64))
_WARMUP: Final = ((1e4, 0.10), (float("inf"), 0.06))
# EDA (1901.11196): the gain is 3 points at 500 examples and below 1 from 5 000 on.
_EDA: Final = ((500, 16), (2_000, 8), (5_000, 4))


def epochs(task: ModelTask, examples: int) -> int:
    """Fewer the more examples there are."""
    return _at(_EPOCHS[_EPOCH_KIND.get(task, "text")], examples)


def effective_batch(task: ModelTask, examples: int) -> int:
    """Examples an update; at least ten updates an epoch."""
    wanted = _EFFECTIVE.get(task, _TEXT_BATCH)
    while wanted > 1 and examples < 10 * wanted:
        wanted //= 2
    return wanted


def learning_rate(task: ModelTask, method: Method, parameters: int) -> float:
    """2e-5 to 5e-5 for all weights of an encoder, 1e-4 or 2e-4 for adapters."""
    if method in {Method.LORA, Method.QLORA}:
        drawn = task is ModelTask.TEXT_TO_IMAGE
        return _LORA_RATE_LARGE if drawn or parameters > _LORA_LARGE else _LORA_RATE
    if method is Method.PREFIX:
        return _PREFIX_RATE
    if task in _FULL_RATES:
        return _FULL_RATES[task]
    if parameters < _SMALL:
        return 5e-5
    return 3e-5 if parameters < _LARGE else 2e-5


def warmup_share(examples: int) -> float:
    """6 to 10 % of the steps."""
    return _at(_WARMUP, examples)


def rank(examples: int) -> int:
    """Of adapters: more to learn from, more to learn with."""
    return _at(_RANKS, examples)


def enough_for_full(task: ModelTask, examples: int) -> bool:
    """Whether all parameters are worth training."""
    return examples >= FULL_FROM.get(task, FEW)


def augmentation(task: ModelTask, examples: int) -> str:
    """What to do to the examples; empty where it gains nothing."""
    if task in _TEXTS:
        copies = next((n for most, n in _EDA if examples < most), 0)
        return (
            f"{copies} copies of each example by synonyms, swaps and deletions (EDA), or "
            "back-translation"
            if copies
            else ""
        )
    if task is ModelTask.SPEECH_RECOGNITION:
        return "SpecAugment and speed 0.9 to 1.1"
    if task is ModelTask.TEXT_TO_IMAGE:
        return "horizontal flips, random crops"
    if task is ModelTask.IMAGE_CLASSIFICATION:
        more = ", RandAugment, mixup" if examples < 10 * FEW else ""
        return f"horizontal flips, random resized crops{more}"
    if task in {ModelTask.OBJECT_DETECTION, ModelTask.IMAGE_SEGMENTATION}:
        more = ", colour jitter" if examples < 10 * FEW else ""
        boxes = ", mosaic" if more and task is ModelTask.OBJECT_DETECTION else ""
        return f"horizontal flips, random crops, scale jitter{more}{boxes}"
    return ""


_TEXTS: Final = frozenset({ModelTask.TEXT_CLASSIFICATION, ModelTask.TOKEN_CLASSIFICATION})


Value = TypeVar("Value", int, float)


def _at(table: tuple[tuple[float, Value], ...], examples: int) -> Value:
    return next(value for most, value in table if examples < most)
