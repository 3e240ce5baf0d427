"""The confined process that decodes strangers' images.

In: a path, the size the model sees, a filter. Out: height and width, then the pixels.
"""

from pathlib import Path

import msgspec

from deployopt.confinement.child import main_if
from deployopt.sources.images import SHAPE, Decoding, decode_image


def answer(question: bytes) -> bytes:
    """Decode one file."""
    asked = msgspec.json.decode(question, type=Decoding)
    image = decode_image(Path(asked.path), asked.inputs, asked.resample, asked.size)
    return SHAPE.pack(*image.shape[:2]) + image.tobytes()


main_if(__name__, answer)
