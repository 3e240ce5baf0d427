"""A folder of images, one sub-folder a class, as examples.

In: the folder, the size the model sees, and the filter it was trained with. Out: uint8 images
`[height, width, 3]` at the model's short side, so that a bundle stays small and the device only
crops. A confined process decodes them. Refuses what is no image, and one that would fill the memory
or breaks the decoder.
"""

import importlib.util
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.confinement.reader import Bounds, Reader
from deployopt.core.errors import MissingExtraError, RefusedInputError, UsageError
from deployopt.core.interface import ImageInputs
from deployopt.core.samples import Array
from deployopt.sources.checks import check_regular, readable_for
from deployopt.sources.trying import asked

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP")
PIXELS_MAX: Final = 64_000_000
FILE_MAX_BYTES: Final = 100 * 2**20
BILINEAR: Final = 2
MODULE: Final = "deployopt.sources.image_child"
SHAPE: Final = struct.Struct(">II")
_ASPECT_MAX: Final = 20


class Decoding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the decoding process is asked."""

    path: str
    inputs: ImageInputs
    resample: int
    size: tuple[int, int] | None = None
    """Width and height that the image has to have, where they are known."""


class ImageFile(msgspec.Struct, frozen=True):
    """One image by its path in the folder, and its class as the sub-folder is named."""

    name: str
    label: str


def list_images(folder: Path) -> tuple[ImageFile, ...]:
    """Every image, sorted by path.

    Raises:
        UsageError: no sub-folders with images.
        RefusedInputError: a link that leaves the folder.
    """
    found: list[ImageFile] = []
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") or not child.is_dir():
            continue
        for path in sorted(child.iterdir()):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                check_regular(path, folder)
                found.append(ImageFile(f"{child.name}/{path.name}", child.name))
    if not found:
        raise UsageError(
            f"{folder} holds no labelled images: one sub-folder a class, named as the class, with "
            f"files ending in {', '.join(SUFFIXES)}."
        )
    return tuple(found)


def read_images(
    folder: Path, files: tuple[ImageFile, ...], inputs: ImageInputs, resample: int = BILINEAR
) -> Iterator[Array]:
    """The images in order, resized as `inputs` says before its crop.

    Raises:
        UsageError: a file is no image, or a damaged one.
        RefusedInputError: an image that is too large to be opened.
        MissingExtraError: Pillow is not installed.
    """
    with image_reader(folder) as reader:
        for file in files:
            yield read_image(folder / file.name, inputs, resample, reader)


def image_reader(folder: Path) -> Reader:
    """A process that decodes the images of this folder."""
    if importlib.util.find_spec("PIL") is None:
        raise MissingExtraError("Reading images", "build")
    return Reader(MODULE, readable_for(folder), Bounds(wall_s=60.0, memory_bytes=2 * 2**30))


def read_image(
    path: Path,
    inputs: ImageInputs,
    resample: int = BILINEAR,
    reader: Reader | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> Array:
    """One image as uint8 `[height, width, 3]`, turned as its camera noted, and of `size` if told.

    Raises:
        UsageError, RefusedInputError: as read_images.
    """
    if reader is None:
        with image_reader(path.parent) as own:
            return read_image(path, inputs, resample, own, size=size)
    question = Decoding(path=str(path.absolute()), inputs=inputs, resample=resample, size=size)
    said = asked(reader, msgspec.json.encode(question), path)
    height, width = SHAPE.unpack_from(said)
    pixels = np.frombuffer(said, dtype=np.uint8, offset=SHAPE.size)
    return pixels.reshape(height, width, 3).copy()


def decode_image(
    path: Path, inputs: ImageInputs, resample: int, size: tuple[int, int] | None = None
) -> Array:
    """The same in this process."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        _check_size(path)
        with Image.open(path, formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > PIXELS_MAX or max(width, height) > _ASPECT_MAX * min(width, height):
                raise RefusedInputError(
                    f"{path} has {width} x {height} pixels; at most {PIXELS_MAX} are opened, and "
                    f"no side is more than {_ASPECT_MAX} times the other."
                )
            upright = ImageOps.exif_transpose(opened)
            image = (upright or opened).convert("RGB")
            _check_sides(path, image.size, size)
            resized = image.resize(target_size(image.size, inputs), Image.Resampling(resample))
            return np.asarray(resized, dtype=np.uint8)
    except Image.DecompressionBombError as error:
        raise RefusedInputError(f"{path} was not opened: {error}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{path} is not an image that can be read: {error}.") from error


def _check_sides(path: Path, sides: tuple[int, int], size: tuple[int, int] | None) -> None:
    if size is not None and sides != size:
        raise UsageError(
            f"{path} has {sides[0]} x {sides[1]} pixels, turned as its camera noted, and its "
            f"annotations are of an image of {size[0]} x {size[1]}: its boxes would lie wrong."
        )


def _check_size(path: Path) -> None:
    if path.stat().st_size > FILE_MAX_BYTES:
        raise RefusedInputError(f"{path} has more than {FILE_MAX_BYTES} bytes.")


def target_size(size: tuple[int, int], inputs: ImageInputs) -> tuple[int, int]:
    """Width and height after resizing: the short side, or the exact shape where none is given."""
    width, height = size
    if inputs.resize is None:
        return inputs.width, inputs.height
    short = min(width, height)
    return (
        max(inputs.resize, round(width * inputs.resize / short)),
        max(inputs.resize, round(height * inputs.resize / short)),
    )
