"""Arrays out of `.npy` and `.npz` files, read strictly: plain numbers, no more than the file holds.

In: a path. Out: arrays by name. Refuses objects (they are pickles), archives with doubled names or
entries that are no arrays, and an array that claims more bytes than there are.
"""

import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

from deployopt.core.errors import RefusedInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
else:
    Array = Any

SUFFIX: Final = ".npy"
ARRAY_ERRORS: Final = (
    ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
    NotImplementedError, RuntimeError, KeyError, TypeError, SyntaxError, MemoryError,
    OverflowError,
)  # fmt: skip
"""What zipfile and numpy raise over damaged or made-up files."""
_RANK_MAX: Final = 32
NPY_MAGIC: Final = b"\x93NUMPY"
"""With what an npy file begins."""
_START: Final = len(NPY_MAGIC) + 2
_LENGTHS: Final = {b"\x01\x00": 2, b"\x02\x00": 4}
"""Bytes of the header's length, by version."""
_HEADER_MAX: Final = 10_000
_CHUNK: Final = 2**20
_FIELDS: Final = re.compile(
    rb"\{\s*'descr':\s*'(?P<kind>[<>|=]?[biufcSU][0-9]{1,6})',\s*"
    rb"'fortran_order':\s*(?P<by_columns>True|False),\s*"
    rb"'shape':\s*\((?P<shape>[0-9, ]{0,600})\),?\s*\}\s*"
)


def read_arrays_of(path: Path, most_bytes: int) -> dict[str, Array]:
    """The arrays of an npz file by name; in all they hold at most `most_bytes`.

    Raises:
        RefusedInputError: it is not such a file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return dict(_entries(archive, most_bytes))
    except ARRAY_ERRORS as error:
        raise refused(path, error) from error


def read_one_array(path: Path, most_bytes: int) -> Array:
    """The array of an npy file.

    Raises:
        RefusedInputError: it is not such a file.
    """
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise ValueError(f"it has more than {most_bytes} bytes")
        with path.open("rb") as stream:
            return plain_array(stream, size)
    except ARRAY_ERRORS as error:
        raise refused(path, error) from error


def plain_array(stream: IO[bytes], held_bytes: int) -> Array:
    """The array of a stream that holds so many bytes; raises one of ARRAY_ERRORS.

    The header is read here: numpy's own reader takes it for Python, and trips over it in many ways.
    """
    import numpy as np

    kind, shape, by_columns = _header(stream)
    dtype = np.dtype(kind)
    needed = math.prod(shape) * dtype.itemsize
    # Items of no bytes would fill any shape, and the memory.
    if len(shape) > _RANK_MAX or not dtype.itemsize or needed > held_bytes:
        raise ValueError("it claims more than it holds")
    found: Array = np.frombuffer(_exactly(stream, needed), dtype)
    return found.reshape(shape[::-1]).T if by_columns else found.reshape(shape)


def _header(stream: IO[bytes]) -> tuple[str, tuple[int, ...], bool]:
    """The type's name, the shape, and whether the first index runs fastest."""
    start = stream.read(_START)
    version = start[len(NPY_MAGIC) : _START]
    if not start.startswith(NPY_MAGIC) or version not in _LENGTHS:
        raise ValueError("it does not begin as an array does")
    length = int.from_bytes(stream.read(_LENGTHS[version]), "little")
    found = _FIELDS.fullmatch(stream.read(length)) if length <= _HEADER_MAX else None
    if found is None:
        raise ValueError(
            "its header is not one of plain numbers; objects would be a pickle, which can run code"
        )
    sizes = tuple(int(size) for size in found["shape"].split(b",") if size.strip())
    return found["kind"].decode("ascii"), sizes, found["by_columns"] == b"True"


def _exactly(stream: IO[bytes], count: int) -> bytearray:
    data = bytearray(count)
    filled, view = 0, memoryview(data)
    while filled < count:
        part = stream.read(min(count - filled, _CHUNK))
        if not part:
            raise EOFError("it ends too early")
        view[filled : filled + len(part)] = part
        filled += len(part)
    return data


def refused(path: Path, error: Exception) -> RefusedInputError:
    """The paragraph for a file that is none of plain arrays."""
    why = str(error) or type(error).__name__
    return RefusedInputError(
        f"{path} is not a file of numpy arrays: {why}. Save it with numpy.savez, without objects."
    )


def _entries(archive: zipfile.ZipFile, most_bytes: int) -> Iterator[tuple[str, Array]]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise ValueError("a name is there twice")
    if sum(max(entry.file_size, 0) for entry in entries) > most_bytes:
        raise ValueError(f"it would fill more than {most_bytes} bytes")
    for entry in entries:
        if not entry.filename.endswith(SUFFIX):
            raise ValueError(f"its entry {entry.filename[:100]!r} is no array")
        with archive.open(entry) as stream:
            yield entry.filename.removesuffix(SUFFIX), plain_array(stream, entry.file_size)
