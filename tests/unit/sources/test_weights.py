"""Safetensors headers that are true, and ones that lie."""

import json
import pickle  # noqa: TID251 - the canaries
import time
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.weights import Tensor, read_header, weight_precision
from tests.fakes.model_folder import write_safetensors


def write_raw(path: Path, header: object, data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_a_true_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"b": np.zeros((2, 3), np.float32), "a": np.ones(4, np.float32)})
    header = read_header(path)
    assert header["b"] == Tensor(dtype="F32", shape=(2, 3), data_offsets=(16, 40))
    assert weight_precision(header) is Precision.FP32


def test_a_real_file_of_the_library_is_read(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    tensors = {"x": np.zeros((3, 5), np.float16), "ids": np.arange(4), "empty": np.zeros((0, 2))}
    library.save_file(tensors, path, metadata={"format": "pt"})
    assert set(read_header(path)) == set(tensors)


@pytest.mark.parametrize(
    ("kinds", "precision"),
    [
        (("F16",), Precision.FP16),
        (("BF16", "I64"), Precision.BF16),
        (("F32", "F16"), Precision.MIXED),
        (("F8_E4M3",), Precision.MIXED),
    ],
)
def test_precision_is_that_of_the_floats(kinds: tuple[str, ...], precision: Precision) -> None:
    tensors = {
        str(at): Tensor(dtype=kind, shape=(1,), data_offsets=(0, 0))
        for at, kind in enumerate(kinds)
    }
    assert weight_precision(tensors) is precision


@pytest.mark.parametrize(
    ("header", "data", "why"),
    [
        ({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, 12, "outside the file"),
        ({"a": {"dtype": "F32", "shape": [4], "data_offsets": [4, 20]}}, 20, "outside the file"),
        ({"a": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}}, 16, "another size"),
        ({"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, 16, "outside"),
        ({"a": {"dtype": "OBJ", "shape": [4], "data_offsets": [0, 16]}}, 16, "unknown type"),
        ({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, 17, "no tensor"),
        ({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], "x": 1}}, 16, "header"),
        (["not", "an", "object"], 0, "header"),
    ],
)
def test_a_lying_header_is_refused(tmp_path: Path, header: object, data: int, why: str) -> None:
    path = write_raw(tmp_path / "model.safetensors", header, b"\0" * data)
    with pytest.raises(RefusedInputError, match=why):
        read_header(path)


def test_two_tensors_over_the_same_bytes_are_refused(tmp_path: Path) -> None:
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path = write_raw(tmp_path / "model.safetensors", {"a": one, "b": one}, b"\0" * 4)
    with pytest.raises(RefusedInputError, match="over another tensor"):
        read_header(path)


@pytest.mark.parametrize("size", [2**63, 2**40, 1, 0])
def test_a_length_that_is_no_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(size.to_bytes(8, "little") + b"{}")
    with pytest.raises(RefusedInputError, match="header would have"):
        read_header(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_unread(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weights": [1.0]}, protocol=protocol))
    with pytest.raises(RefusedInputError, match="holds a pickle or an archive"):
        read_header(path)


def test_cut_short_and_nested_deep_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x10\0")
    with pytest.raises(RefusedInputError):
        read_header(path)
    deep = b'{"a":' * 100_000
    path.write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(RefusedInputError):
        read_header(path)


def test_more_tensors_than_any_model_has_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    entries = ",".join(f'"k{at}":{{}}' for at in range(200_000))
    text = f"{{{entries}}}".encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    start = time.process_time_ns()
    with pytest.raises(RefusedInputError, match="lists more than 100000 tensors"):
        read_header(path)
    assert time.process_time_ns() - start < 2e9


def test_a_pointer_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(UsageError, match="git lfs pull"):
        read_header(path)


def test_types_of_less_than_a_byte_are_counted_in_bits(tmp_path: Path) -> None:
    entry = {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]}
    header = read_header(write_raw(tmp_path / "x.safetensors", {"a": entry}, b"\0" * 3))
    assert header["a"].elements == 4
