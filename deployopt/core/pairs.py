"""An image with its caption, as it is stored: in an example (core/examples.py) beside `image`.

The entry `caption` is the text's UTF-8, uint8 `[bytes]`.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from deployopt.core.errors import RefusedInputError
from deployopt.core.examples import CAPTION, IMAGE, Example
from deployopt.core.samples import Array, Feed

_CAPTION_MAX: Final = 2**20


def captioned_example(image: Array, caption: str) -> Feed:
    """One example of a split."""
    return {IMAGE: image, CAPTION: np.frombuffer(caption.encode(), dtype=np.uint8)}


def caption_of(example: Example, where: str) -> str:
    """Its text.

    Raises:
        RefusedInputError: the example has none.
    """
    data = None if isinstance(example, str) else example.get(CAPTION)
    if data is None or data.dtype != np.uint8 or data.ndim != 1 or data.size > _CAPTION_MAX:
        raise RefusedInputError(
            f"{where} holds an image without a caption. Build the bundle again."
        )
    try:
        return data.tobytes().decode()
    except UnicodeDecodeError as error:
        raise RefusedInputError(f"{where} holds a caption that is no text: {error}.") from error


def captions_of(examples: Sequence[Example], where: str) -> tuple[str, ...]:
    """The texts of all of them; the images are not looked at.

    Raises:
        RefusedInputError: an example has none.
    """
    return tuple(caption_of(example, where) for example in examples)
