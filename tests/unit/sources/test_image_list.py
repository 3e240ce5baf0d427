"""Images are read when they are asked for, and kept."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import ImageInputs
from deployopt.sources.image_list import Chosen, ImageList


def test_images_are_decoded_once_and_chosen_by_position(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for at in range(3):
        image.new("RGB", (8, 8), (at, 0, 0)).save(tmp_path / f"{at}.png")
    inputs = ImageInputs(input_name="pixel_values", height=8, width=8)
    images = ImageList(tmp_path, [f"{at}.png" for at in range(3)], inputs, 2)
    some = Chosen(images, [2, 0])
    assert len(images) == 3
    assert len(some) == 2
    first = some[0]
    assert not isinstance(first, str)
    assert int(first["image"][0, 0, 0]) == 2
    (tmp_path / "2.png").unlink()
    assert some[0] is first
    (tmp_path / "0.png").unlink()
    with pytest.raises(UsageError, match="No such file"):
        some[1]
