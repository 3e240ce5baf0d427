"""Images as files and arrays, and what the model makes of them.

In: a file, or uint8 `[height, width, channels]` of any size. Out: `[channels, height, width]`, as
`preparing/pixels.py` makes it. Refuses what is no image.
"""

import importlib
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import ImageInputs
from deployopt.core.plain_arrays import ARRAY_ERRORS, NPY_MAGIC, plain_array, read_one_array
from deployopt.core.samples import Array
from deployopt.device.preparing.pixels import Floats, normalized, whole_pixels

_PIXELS_MAX: Final = 64_000_000
_FILE_MAX: Final = 256 * 2**20
_FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP")


def image_input(image: Array, inputs: ImageInputs) -> Floats:
    """One image as the model takes it, without the batch dimension.

    Raises:
        UsageError: not a uint8 image with the channels that the model has.
    """
    try:
        return normalized(image, inputs)
    except ValueError as error:
        raise UsageError(str(error)) from error


def image_pixels(image: Array, inputs: ImageInputs) -> Array:
    """The same before it is normalized: whole values, as uint8.

    Raises:
        UsageError: not a uint8 image with the channels that the model has.
    """
    try:
        return whole_pixels(image, inputs)
    except ValueError as error:
        raise UsageError(str(error)) from error


def read_image(path: Path) -> Array:
    """The image in a file, uint8 `[height, width, 3]`: .npy, or any format with Pillow installed.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        if path.suffix == ".npy":
            return read_one_array(path, _FILE_MAX)
        return _decoded(path)
    except ImportError as error:
        raise _without_pillow(str(path)) from error
    except (*ARRAY_ERRORS, RefusedInputError) as error:
        raise _no_image(str(path), error) from error


def decode_image(data: bytes, name: str) -> Array:
    """The same of bytes: those of a .npy file begin as one, others are an image's.

    Raises:
        UsageError: it cannot be read; begins with `name`.
    """
    stream = BytesIO(data)
    try:
        return plain_array(stream, len(data)) if data.startswith(NPY_MAGIC) else _decoded(stream)
    except ImportError as error:
        raise _without_pillow(name) from error
    except ARRAY_ERRORS as error:
        raise _no_image(name, error) from error


def _decoded(source: Path | BytesIO) -> Array:
    # Not part of the small install: used when it happens to be there.
    pillow = importlib.import_module("PIL.Image")
    try:
        with pillow.open(source, formats=_FORMATS) as image:
            _check_pixels(image.width * image.height)
            return np.asarray(image.convert("RGB"))
    except pillow.DecompressionBombError as error:
        raise ValueError(str(error)) from error


def _without_pillow(name: str) -> UsageError:
    return UsageError(
        f"{name} cannot be read here: install Pillow (pip install pillow), or give the pixels "
        "as a .npy file, uint8 [height, width, channels]."
    )


def _no_image(name: str, error: Exception) -> UsageError:
    return UsageError(f"{name} is not an image that can be read: {error}.")


def _check_pixels(count: int) -> None:
    if count > _PIXELS_MAX:
        raise ValueError(f"it has more than {_PIXELS_MAX} pixels")
