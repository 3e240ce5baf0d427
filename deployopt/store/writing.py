"""The one writer: a file is complete and on the disk before its name exists.

Order: write, fsync the file, for a folder fsync each folder in it from the deepest up, rename into
place, fsync the folder renamed into. Without the last a power cut may undo the rename; without the
others it may leave the final name with empty files.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deployopt.store.faults import storage_errors
from deployopt.store.staging import staged_folder, sweep

CHUNK_BYTES = 2**20

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`, all of it or nothing, replacing a file that is there.

    Parent folders are made. Raises StorageError when the disk fails; `path` is then as it was.
    """
    with storage_errors("writing", path):
        make_folders(path.parent)
        sweep(path.parent)
        replace_through(path.parent, path, data)


def append_bytes(path: Path, data: bytes) -> None:
    """Add `data` to a file that others add to as well, such as a CI service's summary."""
    with storage_errors("writing", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)


def append_to_regular(path: Path, data: bytes) -> None:
    """Add `data` to a file that the environment names: no link, pipe or device.

    Raises:
        StorageError: it is none, or cannot be written; nothing waits for a reader.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with storage_errors("writing", path):
        descriptor = os.open(path, flags, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)


def replace_through(staging: Path, path: Path, data: bytes) -> None:
    """Write `data` under `staging`, on the file system of `path`, then rename it to `path`."""
    with staged_folder(staging) as folder:
        staged = folder / "file"
        write_new_file(staged, data)
        staged.replace(path)
        sync_folder(path.parent)


def write_new_file(path: Path, data: bytes) -> None:
    """Create `path`, which must not exist, with mode 0644, and bring it to the disk."""
    descriptor = os.open(path, _CREATE, 0o644)
    try:
        _write_all(descriptor, data)
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A stream into a new file, which is on the disk with mode 0644 when the block ends."""
    with os.fdopen(os.open(path, _CREATE, 0o644), "wb") as stream:
        yield stream
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())


def copy_new_file(source: Path, path: Path) -> tuple[int, str]:
    """Copy the regular file `source` to a new `path`; its size in bytes and sha256 as copied."""
    reading = os.open(source, _READ)
    try:
        if not stat.S_ISREG(os.fstat(reading).st_mode):
            raise OSError(f"not a regular file: {source}")
        writing = os.open(path, _CREATE, 0o644)
        try:
            copied = _copy(reading, writing)
            os.fchmod(writing, 0o644)
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    return copied


def sync_file(path: Path) -> None:
    """Bring a file's bytes to the disk."""
    _sync(path, _READ)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names, though not what they name, to the disk."""
    _sync(folder, _READ | os.O_DIRECTORY)


def make_folders(folder: Path) -> None:
    """Make `folder` and its missing parents, and bring each new name to the disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=0o755, exist_ok=True)
        sync_folder(path.parent)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(reading: int, writing: int) -> tuple[int, str]:
    digest = hashlib.sha256()
    size_bytes = 0
    while chunk := os.read(reading, CHUNK_BYTES):
        digest.update(chunk)
        _write_all(writing, chunk)
        size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
