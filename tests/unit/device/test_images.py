"""Images in numpy, held against Pillow."""

import builtins
import importlib
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import ImageInputs
from deployopt.device.images import image_input, read_image
from deployopt.device.preparing.pixels import resize_bilinear

INPUTS = ImageInputs(input_name="pixels", height=16, width=16, resize=20)


@pytest.mark.parametrize("size", [(7, 9), (16, 16), (48, 31), (100, 20)])
def test_resizing_is_pillow_s(size: tuple[int, int]) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(1).integers(0, 256, (41, 33, 3), dtype=np.uint8)
    theirs = pillow.fromarray(pixels).resize((size[1], size[0]), pillow.Resampling.BILINEAR)
    difference = np.abs(resize_bilinear(pixels, *size) - np.asarray(theirs, dtype=np.float32))
    assert difference.max() <= 1


def test_the_centre_of_the_resized_image_is_normalised() -> None:
    pixels = np.full((40, 60, 3), 100, dtype=np.uint8)
    inputs = ImageInputs(
        input_name="x", height=8, width=8, resize=10, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)
    )
    values = image_input(pixels, inputs)
    assert values.shape == (3, 8, 8)
    assert values.dtype == np.float32
    expected = (np.float32(100 / 255) - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(values[:, 0, 0], expected, rtol=1e-5)


def test_layouts_and_grey_images() -> None:
    grey = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16)
    last = ImageInputs(input_name="x", height=16, width=16, layout="NHWC")
    values = image_input(grey, last)
    assert values.shape == (16, 16, 3)
    assert (values[..., 0] == values[..., 2]).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros(4, dtype=np.uint8),
        np.zeros((30_000, 1, 3), dtype=np.uint8),
    ],
)
def test_what_is_not_an_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(UsageError):
        image_input(image, INPUTS)


def test_files_are_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    assert (read_image(tmp_path / "a.npy") == pixels).all()
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(pixels).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == pixels).all()


def test_bad_files_are_said_to_be_bad(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"no")
    with pytest.raises(UsageError, match="not an image"):
        read_image(tmp_path / "a.npy")
    with pytest.raises(UsageError):
        read_image(tmp_path / "none.npy")


def test_without_pillow_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> builtins.object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="install Pillow"):
        read_image(tmp_path / "a.jpg")
