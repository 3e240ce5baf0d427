"""What numpy writes of plain numbers comes back; what else there is, is refused."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.core.plain_arrays import plain_array, read_arrays_of, read_one_array

MANY = 1 << 20
GOOD = (
    np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    np.asfortranarray(np.arange(24, dtype=np.int64).reshape(4, 6)),
    np.array(3.5),
    np.zeros((0, 4), np.float16),
    np.array([True, False]),
    np.arange(5, dtype=">i2"),
    np.array(["a", "bc"]),
    np.arange(3, dtype=np.uint8),
)


@pytest.mark.parametrize("array", GOOD, ids=lambda array: f"{array.dtype}{list(array.shape)}")
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "a.npy", array)
    found = read_one_array(tmp_path / "a.npy", MANY)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)
    assert found.flags.writeable
    np.savez_compressed(tmp_path / "a.npz", a=array, b=array)
    both = read_arrays_of(tmp_path / "a.npz", MANY)
    assert set(both) == {"a", "b"}
    assert np.array_equal(both["b"], array)


def test_the_longer_form_of_a_header_is_read() -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, GOOD[0], version=(2, 0))
    buffer.seek(0)
    assert np.array_equal(plain_array(buffer, MANY), GOOD[0])


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}], dtype=object),
        np.zeros(3, dtype=[("a", "f4"), ("b", "O")]),
        np.zeros(2, dtype="M8[s]"),
        np.zeros(2, dtype="V0"),
    ],
    ids=["object", "record", "date", "void"],
)
def test_other_kinds_are_refused(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(RefusedInputError, match="not a file of numpy arrays"):
        read_one_array(tmp_path / "a.npy", MANY)


def test_more_than_there_is_room_for_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(1000))
    with pytest.raises(RefusedInputError, match="would fill more than 100 bytes"):
        read_arrays_of(tmp_path / "a.npz", 100)
    with pytest.raises(RefusedInputError, match="more than 100 bytes"):
        read_one_array(tmp_path / "a.npz", 100)
