"""Images and texts through an image-text model: how well each text fits each image.

In: a session, its interface, uint8 images `[height, width, 3]` of any size, texts. Out: for each
image a share of 1 for every text, or of a model that scores each by itself (SigLIP) a score.
Refuses fewer than two texts where shares of one would say nothing, and one that comes twice.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.interface import PAIR_SCORES, TEXTS_AT_ONCE, Interface, PairInputs
from deployopt.core.samples import Array
from deployopt.core.text import safe_text
from deployopt.core.workload import Workload
from deployopt.device.images import image_input
from deployopt.device.inputs import TextEncoder
from deployopt.device.preparing.shares import sigmoid, softmax
from deployopt.device.session import Session

_LEAST: Final = 2
_SHOWN: Final = 60


def match(
    session: Session,
    interface: Interface,
    folder: Path,
    images: Sequence[Array | Mapping[str, Array]],
    texts: Sequence[str],
) -> list[npt.NDArray[np.float64]]:
    """The shares, or scores, `[texts]` of each image; each text is read once an image.

    Raises:
        UsageError: no image, too few texts, or one of them twice.
        DeviceError: an answer is not finite.
    """
    inputs = interface.inputs
    if not isinstance(inputs, PairInputs):
        raise IntegrityError("The bundle does not say how its images and texts go in.")
    if not images or len(texts) < (1 if interface.apart else _LEAST):
        raise UsageError(
            "An image-text model says which of several texts fits an image. Give an image and two "
            'texts or more: `deployopt run BUNDLE --image X.jpg "a cat" "a dog"`.'
        )
    again = next((text for at, text in enumerate(texts) if text in texts[:at]), None)
    if again is not None:
        raise UsageError(f"The text {safe_text(again, _SHOWN)!r} is given twice. Leave one out.")
    encode = TextEncoder(inputs.text, folder, Workload())
    starts = range(0, len(texts), TEXTS_AT_ONCE)
    words = [encode.feed(texts[start : start + TEXTS_AT_ONCE]) for start in starts]
    found = []
    for image in images:
        if isinstance(image, Mapping):
            raise UsageError("Images are given as files or as arrays.")
        pixels = image_input(image, inputs.image)[None]
        answers = [
            session.run([PAIR_SCORES], {inputs.image.input_name: pixels} | dict(some))[0][0]
            for some in words
        ]
        try:
            logits = np.concatenate(answers).astype(np.float32)
            found.append(sigmoid(logits) if interface.apart else softmax(logits))
        except ValueError as error:
            raise DeviceError(str(error)) from error
    return found
