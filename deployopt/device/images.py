"""uint8 images to float32 inputs, in numpy alone.

In: `[height, width, channels]` arrays of any size, or a file. Out: `[channels, height, width]`.
Resizing is bilinear with a triangle filter that widens when it shrinks, as Pillow, torchvision and
transformers do it; a plain bilinear resize would give other pixels than the model was trained on.
"""

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import ImageInputs
from deployopt.core.plain_arrays import read_one_array
from deployopt.core.samples import Array

Floats = npt.NDArray[np.float32]
_RANK: Final = 3
_GREY: Final = 2
_PIXEL_MAX: Final = 255
_SIDE_MAX: Final = 20_000
_PIXELS_MAX: Final = 64_000_000
_FILE_MAX: Final = 256 * 2**20
_FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP")


def image_input(image: Array, inputs: ImageInputs) -> Floats:
    """One image as the model takes it, without the batch dimension.

    Raises:
        UsageError: not a uint8 image with the channels that the model has.
    """
    mean = np.asarray(inputs.mean[: inputs.channels], dtype=np.float32)
    std = np.asarray(inputs.std[: inputs.channels], dtype=np.float32)
    values = (_fitted(image, inputs) * np.float32(inputs.scale) - mean) / std
    ready: Floats = np.ascontiguousarray(_laid_out(values, inputs).astype(np.float32))
    return ready


def image_pixels(image: Array, inputs: ImageInputs) -> Array:
    """The same before it is normalized: whole values, as uint8.

    Raises:
        UsageError: not a uint8 image with the channels that the model has.
    """
    return np.ascontiguousarray(_laid_out(_fitted(image, inputs), inputs).astype(np.uint8))


def _fitted(image: Array, inputs: ImageInputs) -> Floats:
    """Resized and cropped to the model's size, `[height, width, channels]`, whole values."""
    pixels = _with_channels(image, inputs.channels)
    height, width = pixels.shape[:2]
    if inputs.resize is None:
        return resize_bilinear(pixels, inputs.height, inputs.width)
    scale = inputs.resize / min(height, width)
    tall = max(inputs.height, inputs.resize, int(height * scale))
    wide = max(inputs.width, inputs.resize, int(width * scale))
    return _centre(resize_bilinear(pixels, tall, wide), inputs.height, inputs.width)


def _laid_out(values: Floats, inputs: ImageInputs) -> Floats:
    return values.transpose(2, 0, 1) if inputs.layout == "NCHW" else values


def resize_bilinear(pixels: Array, height: int, width: int) -> Floats:
    """Resize `[h, w, c]` to `[height, width, c]`, values rounded to whole ones as in an image."""
    if pixels.shape[:2] == (height, width):
        return pixels.astype(np.float32)
    wide: Floats = np.einsum("xw,hwc->hxc", _weights(pixels.shape[1], width), pixels, optimize=True)
    wide = np.clip(np.rint(wide), 0, _PIXEL_MAX)
    both: Floats = np.einsum("yh,hxc->yxc", _weights(pixels.shape[0], height), wide, optimize=True)
    return np.clip(np.rint(both), 0, _PIXEL_MAX).astype(np.float32)


def read_image(path: Path) -> Array:
    """The image in a file, uint8 `[height, width, 3]`: .npy, or any format with Pillow installed.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        if path.suffix == ".npy":
            return read_one_array(path, _FILE_MAX)
        # Not part of the small install: used when it happens to be there.
        pillow = importlib.import_module("PIL.Image")
        with pillow.open(path, formats=_FORMATS) as image:
            _check_pixels(image.width * image.height)
            return np.asarray(image.convert("RGB"))
    except ImportError as error:
        raise UsageError(
            f"{path} cannot be read here: install Pillow (pip install pillow), or give the pixels "
            "as a .npy file, uint8 [height, width, channels]."
        ) from error
    except (OSError, SyntaxError, ValueError, RefusedInputError) as error:
        raise UsageError(f"{path} is not an image that can be read: {error}.") from error


def _check_pixels(count: int) -> None:
    if count > _PIXELS_MAX:
        raise ValueError(f"it has more than {_PIXELS_MAX} pixels")


def _with_channels(image: Array, channels: int) -> Array:
    pixels = image[:, :, np.newaxis] if image.ndim == _GREY else image
    if pixels.ndim != _RANK or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise UsageError(
            f"An image is a uint8 array [height, width, channels]; this one is {image.dtype} "
            f"{list(image.shape)}."
        )
    if max(pixels.shape[:2]) > _SIDE_MAX:
        raise UsageError(f"An image has at most {_SIDE_MAX} pixels a side.")
    if pixels.shape[2] == 1 and channels > 1:
        return np.repeat(pixels, channels, axis=2)
    if pixels.shape[2] != channels:
        raise UsageError(f"The model takes {channels} channels; the image has {pixels.shape[2]}.")
    return pixels


def _centre(pixels: Floats, height: int, width: int) -> Floats:
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


@lru_cache(maxsize=64)
def _weights(size: int, wanted: int) -> Floats:
    """`[wanted, size]`: how much of each old pixel goes into each new one; rows sum to 1."""
    scale = size / wanted
    reach = max(scale, 1.0)
    centres = (np.arange(wanted) + 0.5) * scale
    distance = np.abs(np.arange(size) + 0.5 - centres[:, np.newaxis]) / reach
    weights = np.clip(1.0 - distance, 0.0, None)
    normal: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normal
