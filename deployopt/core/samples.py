"""Model inputs as one npz file: a list of examples, each a mapping of input name to array.

Used for calibration and for checking an export, so that steps need no tokenizer and no labels.
Numpy is imported where arrays are read and written: a plan, which only names them, starts without.
"""

import copy
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

from deployopt.core.errors import RefusedInputError
from deployopt.core.plain_arrays import ARRAY_ERRORS, plain_array, read_arrays_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
else:
    Array = Any
Feed: TypeAlias = Mapping[str, Array]
"""One request: input name to array, the batch dimension first."""

BYTES_MAX: Final = 8 * 2**30
"""Of all arrays of one file; a bundle's own are far smaller."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DIGITS_MAX: Final = 9


def encode_samples(feeds: Sequence[Feed]) -> bytes:
    """The npz bytes; the same feeds give the same bytes."""
    buffer = io.BytesIO()
    write_samples(buffer, feeds)
    return buffer.getvalue()


def write_samples(stream: BinaryIO, feeds: Iterable[Feed]) -> None:
    """The same bytes into a file, one feed in memory at a time."""
    import numpy as np

    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for index, feed in enumerate(feeds):
            for name in sorted(feed):
                entry = io.BytesIO()
                np.lib.format.write_array(
                    entry, np.asarray(feed[name], order="C"), allow_pickle=False
                )
                archive.writestr(
                    zipfile.ZipInfo(f"{index:06d}/{name}.npy", _EPOCH), entry.getvalue()
                )


def decode_samples(path: Path) -> list[dict[str, Array]]:
    """The feeds in order.

    Raises:
        RefusedInputError: not such a file, or an array of objects.
    """
    feeds: dict[int, dict[str, Array]] = {}
    for key, array in read_arrays_of(path, BYTES_MAX).items():
        index, _, name = key.partition("/")
        if not (index.isascii() and index.isdigit() and len(index) <= _DIGITS_MAX):
            raise RefusedInputError(f"{path} is not a file of samples: it has the entry {key!r}.")
        feeds.setdefault(int(index), {})[name] = array
    return [feeds[i] for i in sorted(feeds)]


class StoredFeeds(Sequence[Feed]):
    """The feeds of such a file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            RefusedInputError: not such a file.
        """
        self._path = path
        self._names: dict[int, list[str]] = {}
        try:
            self._archive = zipfile.ZipFile(path)
            for key in self._archive.namelist():
                self._names.setdefault(int(key.partition("/")[0]), []).append(key)
        except ARRAY_ERRORS as error:
            raise RefusedInputError(f"{path} is not a file of samples: {error}.") from error
        self._order = sorted(self._names)

    def first(self, count: int) -> "StoredFeeds":
        """Only so many of them."""
        fewer = copy.copy(self)
        fewer._order = self._order[:count]  # noqa: SLF001 -- of this class
        return fewer

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, at: int) -> Feed:  # type: ignore[override] # no slices are asked for
        names = self._names[self._order[at]]
        try:
            return {key.partition("/")[2].removesuffix(".npy"): self._read(key) for key in names}
        except ARRAY_ERRORS as error:
            raise RefusedInputError(f"{self._path} is damaged: {error}.") from error

    def _read(self, key: str) -> Array:
        with self._archive.open(key) as entry:
            return plain_array(entry, self._archive.getinfo(key).file_size)
