"""An image model's `preprocessor_config.json` as data: size, crop, scale, mean and deviation.

In: the file's object and the model type. Out: ImageInputs, and how images are resized when they are
read. Refuses what the record cannot say rather than preprocess in another way than the model's.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.interface import ImageInputs
from deployopt.sources.checks import read_object
from deployopt.store.writing import write_new_file

FILE: Final = "preprocessor_config.json"
PROCESSOR: Final = "processor_config.json"
PIXEL_MAX: Final = 4096
CHANNELS: Final = 3
_BILINEAR: Final = 2
_FILTER_MAX: Final = 5
# Of transformers' image processors for these models: below 384 pixels the short side is
# size / crop_pct, and the middle is cropped.
_CROP_PCT_TYPES: Final = ("ConvNext", "ConvNeXT")
_CROP_PCT: Final = 224 / 256
_CROP_BELOW: Final = 384


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The interface, and the filter's number in Pillow (2 bilinear, 3 bicubic)."""

    inputs: ImageInputs
    resample: int


def write_preprocessor(folder: Path) -> None:
    """Take it out of `processor_config.json` in a staging folder, which newer folders have."""
    if (folder / FILE).exists() or not (folder / PROCESSOR).exists():
        return
    options = read_object(folder / PROCESSOR).get("image_processor")
    if isinstance(options, dict):
        write_new_file(folder / FILE, msgspec.json.encode(options))


def read_preprocessor(
    options: Mapping[str, object], where: str, *, input_name: str = "pixel_values"
) -> ImageFacts:
    """What the file says.

    Raises:
        UsageError: a value is missing, out of range, or of a kind that ImageInputs cannot hold.
    """
    resize, height, width = _geometry(options, where)
    normalize = _flag(options, "do_normalize", default=True)
    mean = (
        _triple(options, "image_mean", (0.5, 0.5, 0.5), where) if normalize else (0.0,) * CHANNELS
    )
    std = _triple(options, "image_std", (0.5, 0.5, 0.5), where) if normalize else (1.0,) * CHANNELS
    scale = _scale(options, where)
    if _flag(options, "rescale_offset", default=False):
        raise UsageError(f"{where}: rescale_offset is not supported; set it to false.")
    if _flag(options, "include_top", default=False) and normalize:
        # EfficientNet's processor divides by the deviation once more.
        std = tuple(value * value for value in std)
    resample = options.get("resample", _BILINEAR)
    known = isinstance(resample, int) and 0 <= resample <= _FILTER_MAX
    return ImageFacts(
        inputs=ImageInputs(
            input_name=input_name, height=height, width=width, resize=resize, scale=scale,
            mean=mean, std=std,
        ),
        resample=resample if known and isinstance(resample, int) else _BILINEAR,
    )  # fmt: skip


def _geometry(options: Mapping[str, object], where: str) -> tuple[int | None, int, int]:
    """The short side before the crop (None: resized to the exact shape), height and width."""
    size = options.get("size")
    exact, short = _shape(size), _short_side(size)
    kind = str(options.get("image_processor_type") or options.get("feature_extractor_type") or "")
    if any(name in kind for name in _CROP_PCT_TYPES) and short is None and exact is not None:
        short = exact[0] if exact[0] == exact[1] else None
    if any(name in kind for name in _CROP_PCT_TYPES) and short is not None:
        if short >= _CROP_BELOW:
            return None, _pixels(short, where), _pixels(short, where)
        crop_pct = options.get("crop_pct", _CROP_PCT)
        share = crop_pct if isinstance(crop_pct, float) and 0 < crop_pct <= 1 else _CROP_PCT
        return int(short / share), _pixels(short, where), _pixels(short, where)
    if _flag(options, "do_center_crop", default=False):
        crop = _shape(options.get("crop_size")) or _square(_short_side(options.get("crop_size")))
        before = short or (exact[0] if exact is not None and exact[0] == exact[1] else None)
        if crop is None or before is None:
            raise UsageError(f"{where}: size and crop_size do not say how images are cropped.")
        return _pixels(before, where), _pixels(crop[0], where), _pixels(crop[1], where)
    if exact is None:
        raise UsageError(f"{where}: size gives no height and width, and nothing is cropped.")
    return None, _pixels(exact[0], where), _pixels(exact[1], where)


def _shape(size: object) -> tuple[int, int] | None:
    if isinstance(size, int) and not isinstance(size, bool):
        return size, size
    if isinstance(size, dict):
        height, width = size.get("height"), size.get("width")
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    return None


def _short_side(size: object) -> int | None:
    value = size.get("shortest_edge") if isinstance(size, dict) else None
    return value if isinstance(value, int) else None


def _square(side: int | None) -> tuple[int, int] | None:
    return None if side is None else (side, side)


def _pixels(value: int, where: str) -> int:
    if not 1 <= value <= PIXEL_MAX:
        raise UsageError(f"{where}: images of {value} pixels; 1 to {PIXEL_MAX} are read.")
    return value


def _flag(options: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = options.get(name, default)
    return value if isinstance(value, bool) else default


def _scale(options: Mapping[str, object], where: str) -> float:
    if not _flag(options, "do_rescale", default=True):
        return 1.0
    value = options.get("rescale_factor", 1 / 255)
    if not isinstance(value, float | int) or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{where}: rescale_factor is {value!r}, not a positive number.")
    return float(value)


def _triple(
    options: Mapping[str, object], name: str, default: tuple[float, ...], where: str
) -> tuple[float, ...]:
    value = options.get(name, default)
    if isinstance(value, list | tuple) and len(value) == CHANNELS:
        numbers = [x for x in value if isinstance(x, float | int) and math.isfinite(x)]
        wrong = name.endswith("std") and any(x <= 0 for x in numbers)
        if len(numbers) == CHANNELS and not wrong:
            return tuple(float(x) for x in numbers)
    raise UsageError(f"{where}: {name} is {value!r}, not {CHANNELS} numbers.")
