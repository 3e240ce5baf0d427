"""uint8 images become a model's float32 inputs, in numpy alone.

In: `[height, width, channels]` arrays of any size. Out: `[channels, height, width]`. Resizing is
bilinear with a triangle filter that widens when it shrinks, as Pillow, torchvision and transformers
do it; a plain bilinear resize would give other pixels than the model was trained on. This file
stands alone: it is copied, as it is, to servers that have no deployopt.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
_RANK: Final = 3
_GREY: Final = 2
_PIXEL_MAX: Final = 255
_SIDE_MAX: Final = 20_000


class Wanted(Protocol):
    """The fields of `ImageInputs` in a bundle's manifest."""

    @property
    def channels(self) -> int: ...  # noqa: D102 -- as there
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def resize(self) -> int | None: ...  # noqa: D102
    @property
    def scale(self) -> float: ...  # noqa: D102
    @property
    def mean(self) -> Sequence[float]: ...  # noqa: D102
    @property
    def std(self) -> Sequence[float]: ...  # noqa: D102
    @property
    def layout(self) -> str: ...  # noqa: D102


def normalized(image: Array, wanted: Wanted) -> Floats:
    """One image as the model takes it, without the batch dimension.

    Raises:
        ValueError: not a uint8 image with the channels that the model has.
    """
    mean = np.asarray(wanted.mean[: wanted.channels], dtype=np.float32)
    std = np.asarray(wanted.std[: wanted.channels], dtype=np.float32)
    values = (_fitted(image, wanted) * np.float32(wanted.scale) - mean) / std
    ready: Floats = np.ascontiguousarray(_laid_out(values, wanted).astype(np.float32))
    return ready


def whole_pixels(image: Array, wanted: Wanted) -> Array:
    """The same before it is normalized: whole values, as uint8; raises ValueError likewise."""
    return np.ascontiguousarray(_laid_out(_fitted(image, wanted), wanted).astype(np.uint8))


def resize_bilinear(pixels: Array, height: int, width: int) -> Floats:
    """Resize `[h, w, c]` to `[height, width, c]`, values rounded to whole ones as in an image."""
    if pixels.shape[:2] == (height, width):
        return pixels.astype(np.float32)
    wide: Floats = np.einsum("xw,hwc->hxc", _weights(pixels.shape[1], width), pixels, optimize=True)
    wide = np.clip(np.rint(wide), 0, _PIXEL_MAX)
    both: Floats = np.einsum("yh,hxc->yxc", _weights(pixels.shape[0], height), wide, optimize=True)
    return np.clip(np.rint(both), 0, _PIXEL_MAX).astype(np.float32)


def _fitted(image: Array, wanted: Wanted) -> Floats:
    """Resized and cropped to the model's size, `[height, width, channels]`, whole values."""
    pixels = _with_channels(image, wanted.channels)
    height, width = pixels.shape[:2]
    if wanted.resize is None:
        return resize_bilinear(pixels, wanted.height, wanted.width)
    scale = wanted.resize / min(height, width)
    tall = max(wanted.height, wanted.resize, int(height * scale))
    wide = max(wanted.width, wanted.resize, int(width * scale))
    return _centre(resize_bilinear(pixels, tall, wide), wanted.height, wanted.width)


def _laid_out(values: Floats, wanted: Wanted) -> Floats:
    return values.transpose(2, 0, 1) if wanted.layout == "NCHW" else values


def _with_channels(image: Array, channels: int) -> Array:
    pixels = image[:, :, np.newaxis] if image.ndim == _GREY else image
    if pixels.ndim != _RANK or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(
            f"An image is a uint8 array [height, width, channels]; this one is {image.dtype} "
            f"{list(image.shape)}."
        )
    if max(pixels.shape[:2]) > _SIDE_MAX:
        raise ValueError(f"An image has at most {_SIDE_MAX} pixels a side.")
    if pixels.shape[2] == 1 and channels > 1:
        return np.repeat(pixels, channels, axis=2)
    if pixels.shape[2] != channels:
        raise ValueError(f"The model takes {channels} channels; the image has {pixels.shape[2]}.")
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
