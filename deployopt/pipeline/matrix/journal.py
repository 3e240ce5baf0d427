"""What was finished, cell by cell: one JSON line each, enough for the next call to go on from.

In: the matrix's folder. Out: the last result of each cell, and a place to add to. A line that a
killed call left unfinished is dropped. Refuses a folder that holds something else, and one that
another call is writing to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.errors import IntegrityError, StorageError, UsageError
from deployopt.core.matrix import CellResult
from deployopt.core.version import VERSION
from deployopt.store.faults import storage_errors
from deployopt.store.leases import Lease
from deployopt.store.verifying import verify_bundle
from deployopt.store.writing import append_bytes, atomic_write_bytes, make_folders

FILE: Final = "matrix.jsonl"
_LOCK: Final = ".matrix"
_VERSION: Final = 1


class _Began(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line."""

    matrix: int = _VERSION
    made_with: str


class Log(Protocol):
    """What was done before, and a place to add to."""

    output: Path

    def add(self, result: CellResult) -> None:
        """Keep it."""

    def done(self, cell: str, key: str) -> CellResult | None:
        """The result of an earlier call that still holds."""


class NoLog:
    """Of a call that no other goes on from; bundles lie in `output` all the same."""

    def __init__(self, output: Path) -> None:
        self.output = output

    def add(self, result: CellResult) -> None:
        """Nothing is kept."""

    def done(self, cell: str, key: str) -> CellResult | None:  # noqa: ARG002 -- as in Log
        """Nothing was."""
        return None


class Journal:
    """The log of one folder; `add` writes a line at once."""

    def __init__(self, output: Path, *, begin: bool = True) -> None:
        """Read the log in `output`, or begin one; without `begin` nothing is written.

        Raises:
            UsageError: the folder holds other things, or its log is of another version.
            IntegrityError: a line of it was changed.
            StorageError: it cannot be read or written.
        """
        self.output = output
        self.path = output / FILE
        check_output(output)
        with storage_errors("reading the log", self.path):
            data = self.path.read_bytes() if self.path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        self._done = dict(self._read(lines))
        if not begin:
            return
        if not lines:
            make_folders(output)
            first = _Began(made_with=f"deployopt {VERSION}")
            atomic_write_bytes(self.path, encode_json(first) + b"\n")
        elif whole != data:
            atomic_write_bytes(self.path, whole)

    def add(self, result: CellResult) -> None:
        """Write one line."""
        append_bytes(self.path, encode_json(result) + b"\n")
        self._done[result.name.id] = result

    def done(self, cell: str, key: str) -> CellResult | None:
        """The verdict of an earlier call, if the same was asked and what it made is still whole."""
        found = self._done.get(cell)
        if found is None or found.key != key or found.error is not None:
            return None
        if not is_whole(found, self.output):
            return None
        return msgspec.structs.replace(found, reused=True)

    def _read(self, lines: list[bytes]) -> Iterator[tuple[str, CellResult]]:
        for at, line in enumerate(lines, 1):
            try:
                if at == 1:
                    began = msgspec.json.decode(line, type=_Began)
                    if began.matrix != _VERSION:
                        raise UsageError(
                            f"{self.path} was written by {began.made_with}, which this version "
                            "does not go on from. Name another output folder."
                        )
                    continue
                result = msgspec.json.decode(line, type=CellResult)
            except msgspec.MsgspecError as error:
                raise IntegrityError(
                    f"{self.path}, line {at}, is not what was written there: {error}. Remove that "
                    "line, or name another output folder."
                ) from error
            yield result.name.id, result


def is_whole(result: CellResult, output: Path) -> bool:
    """Whether the bundle, or of a rejected cell its page, is there as the result says."""
    if result.bundle is not None:
        folder = output / result.bundle
        try:
            if not folder.is_dir():
                return False
            manifest = verify_bundle(folder)
        except (IntegrityError, StorageError):
            return False
        return manifest.bundle_digest == result.bundle_digest
    return result.page is not None and (output / result.page).is_file()


def check_output(output: Path) -> None:
    """Refuse what is not there to be written to.

    Raises:
        UsageError: it is neither new, nor an empty folder, nor a matrix's.
        StorageError: it cannot be looked at.
    """
    with storage_errors("looking at the output folder", output):
        is_folder, is_matrix = output.is_dir(), (output / FILE).exists()
        if output.is_symlink() or (output.exists() and not is_folder):
            raise UsageError(
                f"{output} is no folder. Name a new one for the matrix, with --output."
            )
        there = [] if is_matrix or not is_folder else [path.name for path in output.iterdir()]
    if any(not name.startswith(_LOCK) for name in there):
        raise UsageError(
            f"{output} holds files that are no matrix's, and they are left as they are. Name a "
            "new or empty folder, with --output."
        )


@contextmanager
def only_writer(output: Path) -> Iterator[None]:
    """Be the one call that writes to the folder.

    Raises:
        UsageError: another one is.
    """
    check_output(output)
    with Lease(output, _LOCK) as lease:
        if not lease.try_alone():
            raise UsageError(
                f"Another call of `deployopt matrix` is writing to {output}. Wait for it, or name "
                "another folder with --output."
            )
        yield
