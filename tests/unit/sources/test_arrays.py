"""Arrays from npz files or made up, and files that are not what the graph takes."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import ArrayInput, ArrayInputs
from deployopt.core.samples import Array
from deployopt.sources import arrays
from deployopt.sources.arrays import list_arrays, read_arrays, synthetic_feeds

INPUTS = ArrayInputs(
    inputs=(
        ArrayInput(name="x", dtype="float32", shape=("batch", 3)),
        ArrayInput(name="n", dtype="int64", shape=("batch", "length")),
    )
)


def save(path: Path, content: Mapping[str, Array]) -> None:
    np.savez(path, allow_pickle=True, **content)


def good(count: int = 4) -> dict[str, Array]:
    return {
        "x": np.arange(count * 3, dtype=np.float32).reshape(count, 3),
        "n": np.zeros((count, 7), dtype=np.int64),
    }


def test_every_example_keeps_a_batch_of_one(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", good() | {"labels": np.array([0, 1, 1, 0])})
    found = read_arrays(tmp_path, list_arrays(tmp_path / "a.npz"), INPUTS)
    assert [feed["x"].tolist() for feed in found.feeds][1] == [[3.0, 4.0, 5.0]]
    assert found.labels == (0, 1, 1, 0)


def test_a_folder_is_its_files_in_order(tmp_path: Path) -> None:
    save(tmp_path / "b.npz", good(2))
    save(tmp_path / "a.npz", good(3))
    assert list_arrays(tmp_path) == ("a.npz", "b.npz")
    found = read_arrays(tmp_path, list_arrays(tmp_path), INPUTS)
    assert len(found.feeds) == 5
    assert found.labels is None


def test_one_array_for_one_input(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", good()["x"])
    one = ArrayInputs(inputs=INPUTS.inputs[:1])
    assert len(read_arrays(tmp_path, ("a.npy",), one).feeds) == 4
    with pytest.raises(UsageError, match="holds one array"):
        read_arrays(tmp_path, ("a.npy",), INPUTS)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"z": np.zeros(4)}, "holds n, x, z"),
        ({"x": np.zeros((4, 3))}, "x is float64, the graph takes float32"),
        ({"x": np.zeros((4, 2), np.float32)}, r"shape \[4, 2\]"),
        ({"x": np.zeros(4, np.float32)}, r"shape \[4\]"),
        ({"x": np.zeros((5, 3), np.float32)}, "same count"),
        ({"x": np.zeros((0, 3), np.float32), "n": np.zeros((0, 7), np.int64)}, "same count"),
        ({"x": np.full((4, 3), np.nan, np.float32)}, "not finite"),
        ({"labels": np.array(["a"] * 4)}, "same count"),
        ({"labels": np.array([0, 1])}, "same count"),
    ],
)
def test_other_arrays_than_the_graphs(tmp_path: Path, changed: dict[str, Array], why: str) -> None:
    save(tmp_path / "a.npz", good() | changed)
    with pytest.raises(UsageError, match=why):
        read_arrays(tmp_path, ("a.npz",), INPUTS)


def test_objects_are_pickles_and_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object), n=good()["n"])
    with pytest.raises(RefusedInputError, match="without objects"):
        read_arrays(tmp_path, ("a.npz",), INPUTS)


def test_damaged_and_swollen_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(RefusedInputError):
        read_arrays(tmp_path, ("a.npz",), INPUTS)
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * 100_000)
    monkeypatch.setattr(arrays, "BYTES_MAX", 50_000)
    with pytest.raises(RefusedInputError, match="would fill"):
        read_arrays(tmp_path, ("b.npz",), INPUTS)


def test_made_up_inputs_follow_the_shapes_and_the_seed() -> None:
    inputs = ArrayInputs(
        inputs=(
            *INPUTS.inputs,
            ArrayInput(name="attention_mask", dtype="int64", shape=(1, "length")),
            ArrayInput(name="flag", dtype="bool", shape=("batch",)),
        )
    )
    feeds = synthetic_feeds(inputs, 5, seed=3)
    assert {name: value.shape for name, value in feeds[0].items()} == {
        "x": (1, 3), "n": (1, 16), "attention_mask": (1, 16), "flag": (1,),
    }  # fmt: skip
    assert feeds[0]["x"].dtype == np.float32
    assert feeds[0]["attention_mask"].all()
    again = synthetic_feeds(inputs, 5, seed=3)
    assert all(np.array_equal(a["x"], b["x"]) for a, b in zip(feeds, again, strict=True))
    assert not np.array_equal(feeds[0]["x"], synthetic_feeds(inputs, 5, seed=4)[0]["x"])


def test_large_shapes_give_fewer_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "SYNTHETIC_BYTES_MAX", 10_000)
    image = ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=(1, 3, 8, 8)),))
    assert len(synthetic_feeds(image, 256, seed=0)) == 6


def test_what_cannot_be_made_up() -> None:
    fixed = ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=(8, 3)),))
    with pytest.raises(UsageError, match="batches of 8"):
        synthetic_feeds(fixed, 4, seed=0)
    text = ArrayInputs(inputs=(ArrayInput(name="x", dtype="object", shape=(1,)),))
    with pytest.raises(UsageError, match="cannot be made up"):
        synthetic_feeds(text, 4, seed=0)
