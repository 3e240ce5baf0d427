"""Digests of files and folders.

A folder's digest covers the sorted relative path, size and sha256 of every file in it, each
framed by its length, and nothing else: no time, mode, owner or place.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import RefusedInputError
from deployopt.store.keys import frame_fields
from deployopt.store.listing import list_folder
from deployopt.store.writing import CHUNK_BYTES

_DOMAIN = b"deployopt-folder-1"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class DigestMemo:
    """Digests already computed by this process, so that one build reads a large file once.

    A file counts as unchanged while its device, inode, size, mtime and ctime are; across
    processes nothing is remembered.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], str] = {}

    def sha256(self, path: Path) -> str:
        """The file's sha256, read from the disk unless this process has read it before."""
        descriptor = _open_regular(path)
        try:
            identity = _identity(os.fstat(descriptor))
            known = self._known.get(identity)
            if known is None:
                known = _sha256_of(descriptor)
                self._known[identity] = known
        finally:
            os.close(descriptor)
        return known


def sha256_file(path: Path) -> str:
    """The sha256 of a regular file, streamed; a link or device is refused."""
    return DigestMemo().sha256(path)


def file_entry(path: Path, name: str) -> FileEntry:
    """The record of the file at `path`, listed as `name`."""
    digest = sha256_file(path)
    return FileEntry(path=name, size_bytes=path.stat().st_size, sha256=digest)


def folder_entries(folder: Path, memo: DigestMemo | None = None) -> tuple[FileEntry, ...]:
    """Every file under `folder`, sorted by path. Raises RefusedInputError on links and devices."""
    memo = memo or DigestMemo()
    listing = list_folder(folder)
    if listing.problems:
        raise RefusedInputError(
            f"{folder} holds what cannot be stored: {'; '.join(listing.problems)}. Keep only "
            "regular files there."
        )
    return tuple(
        FileEntry(path=name, size_bytes=size, sha256=memo.sha256(folder / name))
        for name, size in listing.sizes_bytes.items()
    )


def entries_digest(entries: Iterable[FileEntry]) -> str:
    """One digest for a set of files; their order does not count."""
    digest = hashlib.sha256(frame_fields([_DOMAIN]))
    for entry in sorted(entries, key=lambda entry: entry.path):
        parts = (entry.path, str(entry.size_bytes), entry.sha256)
        digest.update(frame_fields(part.encode() for part in parts))
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest of everything under `folder`."""
    return entries_digest(folder_entries(folder))


def _open_regular(path: Path) -> int:
    # Not blocking: opening a pipe that nobody writes to would otherwise wait for ever.
    descriptor = os.open(path, _READ | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedInputError(f"{path} is not a regular file.")
    return descriptor


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _sha256_of(descriptor: int) -> str:
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    while count := os.readv(descriptor, [buffer]):
        digest.update(view[:count])
    return digest.hexdigest()
