"""Examples changed a little, so that few of them teach more: a function of the random numbers.

Texts lose a word in ten and have one in ten swapped with its neighbour (half of EDA, 1901.11196:
no thesaurus is needed for these two). Images are flipped left to right half of the time and cropped
at random to the model's size, after a border of an eighth where they are no larger than it.
"""

from typing import Final

import numpy as np

from deployopt.core.examples import IMAGE, Example
from deployopt.core.interface import ImageInputs, TextInputs
from deployopt.core.samples import Array

_SHARE: Final = 0.1
_HALF: Final = 0.5
_BORDER: Final = 8
_WORDS_MIN: Final = 3


def augmented(
    example: Example, inputs: TextInputs | ImageInputs, random: np.random.Generator
) -> Example:
    """A text or an image like the given one."""
    if isinstance(example, str):
        return changed_text(example, random)
    if isinstance(inputs, ImageInputs) and IMAGE in example:
        return {IMAGE: changed_image(example[IMAGE], inputs, random)}
    return example


def changed_text(text: str, random: np.random.Generator) -> str:
    """Words dropped and swapped; texts of fewer than three words stay as they are."""
    words = text.split()
    if len(words) < _WORDS_MIN:
        return text
    for at in np.flatnonzero(random.random(len(words) - 1) < _SHARE).tolist():
        words[at], words[at + 1] = words[at + 1], words[at]
    kept = [word for word, draw in zip(words, random.random(len(words)), strict=True)
            if draw >= _SHARE]  # fmt: skip
    return " ".join(kept or words)


def changed_image(image: Array, inputs: ImageInputs, random: np.random.Generator) -> Array:
    """A crop of the model's size, perhaps mirrored; uint8 `[height, width, channels]`."""
    height, width = inputs.height, inputs.width
    if image.shape[0] <= height and image.shape[1] <= width:
        tall, wide = max(1, height // _BORDER), max(1, width // _BORDER)
        image = np.pad(image, ((tall, tall), (wide, wide), (0, 0)), mode="edge")
    top = int(random.integers(0, max(1, image.shape[0] - height + 1)))
    left = int(random.integers(0, max(1, image.shape[1] - width + 1)))
    cropped = image[top : top + height, left : left + width]
    mirrored = random.random() < _HALF
    return np.ascontiguousarray(cropped[:, ::-1] if mirrored else cropped)
