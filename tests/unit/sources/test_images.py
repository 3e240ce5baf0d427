"""Images from folders, and files that only say they are images."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import ImageInputs
from deployopt.sources.images import list_images, read_image, target_size

Image = pytest.importorskip("PIL.Image")
INPUTS = ImageInputs(input_name="x", height=8, width=8, resize=10)


@pytest.mark.parametrize(
    ("size", "resize", "target"),
    [
        ((20, 40), 10, (10, 20)),
        ((40, 20), 10, (20, 10)),
        ((30, 30), 10, (10, 10)),
        ((40, 20), None, (8, 8)),
        ((5, 5), 10, (10, 10)),
    ],
)
def test_the_short_side_or_the_exact_shape(
    size: tuple[int, int], resize: int | None, target: tuple[int, int]
) -> None:
    inputs = ImageInputs(input_name="x", height=8, width=8, resize=resize)
    assert target_size(size, inputs) == target


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1"])
def test_every_mode_becomes_three_channels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (20, 20)).save(path)
    pixels = read_image(path, INPUTS)
    assert pixels.shape == (10, 10, 3)
    assert pixels.dtype == np.uint8


def test_a_turned_photograph_is_turned_back(tmp_path: Path) -> None:
    photograph = Image.fromarray(np.zeros((20, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg", INPUTS).shape == (20, 10, 3)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff" * 9])
def test_what_is_no_image_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UsageError, match="not an image"):
        read_image(tmp_path / "a.png", INPUTS)


def test_another_format_under_the_name_is_not_opened(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.tiff")
    (tmp_path / "a.tiff").rename(tmp_path / "a.png")
    with pytest.raises(UsageError, match="not an image"):
        read_image(tmp_path / "a.png", INPUTS)


@pytest.mark.parametrize("size", [(9_000, 9_000), (1, 500)])
def test_an_image_that_would_fill_the_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(RefusedInputError):
        read_image(tmp_path / "a.png", INPUTS)


def test_images_are_listed_by_class(tmp_path: Path) -> None:
    for name in ("b/1.png", "a/2.JPG", "a/notes.txt", "a/.hidden.png", "loose.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = list_images(tmp_path)
    assert [(file.name, file.label) for file in found] == [("a/2.JPG", "a"), ("b/1.png", "b")]


def test_a_folder_without_classes_is_told(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(UsageError, match="one sub-folder a class"):
        list_images(tmp_path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"")
    (tmp_path / "set" / "a" / "1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(RefusedInputError, match="outside"):
        list_images(tmp_path / "set")
