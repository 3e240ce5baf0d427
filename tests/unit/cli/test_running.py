"""The inputs of `run` from the command line and from files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.cli.running import _line, predict_and_print, read_inputs
from deployopt.core.errors import UsageError
from deployopt.core.interface import (
    ArrayInput,
    ArrayInputs,
    ImageInputs,
    Interface,
    PairInputs,
    Task,
    TextInputs,
)
from deployopt.device.run import Prediction

TEXT = Interface(
    task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=8), outputs=("logits",)
)
IMAGE = Interface(
    task=Task.IMAGE_CLASSIFICATION,
    inputs=ImageInputs(input_name="pixels", height=4, width=4),
    outputs=("logits",),
)
ARRAYS = Interface(
    task=Task.ANY,
    inputs=ArrayInputs(
        inputs=tuple(ArrayInput(name=n, dtype="float32", shape=("batch", 2)) for n in "ab")
    ),
    outputs=("y",),
)

PAIRS = Interface(
    task=Task.IMAGE_TEXT,
    inputs=PairInputs(
        image=ImageInputs(input_name="pixels", height=4, width=4), text=TextInputs(max_length=8)
    ),
    outputs=("image_embeds", "text_embeds", "logits_per_image"),
)


class Matches:
    """A predictor of images and texts, for which the first text fits best."""

    interface = PAIRS

    def match(self, images: list[Path], texts: list[str]) -> list[Prediction]:
        shares = {text: 1.0 / 2 ** (at + 1) for at, text in enumerate(texts)}
        return [Prediction(label=texts[0], score=0.5, scores=shares) for _ in images]


def test_texts_to_match_come_from_a_file_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor: Any = Matches()
    path, image = tmp_path / "texts.txt", [Path("street.jpg")]
    with pytest.raises(UsageError, match=r"no file .*texts\.txt"):
        predict_and_print(predictor, ["a car"], path, images=image, json=False)
    path.write_text("a bicycle\n\nnobody\n")
    assert predict_and_print(predictor, ["a car"], path, images=image, json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [
        ["0.500", "a car"], ["0.250", "a bicycle"], ["0.125", "nobody"],
    ]  # fmt: skip


def test_a_text_file_is_a_text_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("\ufeffgood\n\n  \nnaïve film\r\n".encode())
    assert read_inputs(path, TEXT) == ["good", "naïve film"]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"good \xff")
    with pytest.raises(UsageError, match="byte 5"):
        read_inputs(path, TEXT)


def test_arrays_keep_a_batch_of_one(tmp_path: Path) -> None:
    a, b = np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((3, 2), np.float32)
    np.savez(tmp_path / "x.npz", a=a, b=b)
    found = read_inputs(tmp_path / "x.npz", ARRAYS)
    assert len(found) == 3
    second = found[1]
    assert isinstance(second, dict)
    assert second["a"].tolist() == [[2.0, 3.0]]
    assert second["b"].shape == (1, 2)


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones((1, 2), np.float32), c=np.ones((1, 2), np.float32))
    with pytest.raises(UsageError, match=r"no array 'b'; it has a, c"):
        read_inputs(tmp_path / "x.npz", ARRAYS)


def test_images_come_alone_or_stacked(tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", np.zeros((2, 4, 4, 3), np.uint8))
    np.save(tmp_path / "one.npy", np.zeros((4, 4, 3), np.uint8))
    assert len(read_inputs(tmp_path / "many.npy", IMAGE)) == 2
    assert len(read_inputs(tmp_path / "one.npy", IMAGE)) == 1
    (tmp_path / "x.png").write_bytes(b"")
    assert read_inputs(tmp_path / "x.png", IMAGE) == [tmp_path / "x.png"]


@pytest.mark.parametrize("content", [b"", b"not arrays", b"PK\x03\x04 broken"])
def test_a_damaged_array_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UsageError, match=r"not a file of numpy arrays"):
        read_inputs(tmp_path / "x.npz", ARRAYS)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(UsageError, match=r"not a file of numpy arrays"):
        read_inputs(tmp_path / "x.npy", IMAGE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*x\.txt"):
        read_inputs(tmp_path / "x.txt", TEXT)


def test_of_a_long_path_the_end_is_shown(tmp_path: Path) -> None:
    long = tmp_path / ("folder" * 12) / "00010.png"
    prediction = Prediction(label="circle", score=0.9, scores={"circle": 0.9})
    line = _line(long, prediction)
    assert line.endswith("/00010.png\n")
    assert "…" in line
    assert _line("a text that is short", prediction).endswith("a text that is short\n")
