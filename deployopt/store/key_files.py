"""A pair of key files: the private one for its owner alone from its first byte on.

In: names and PEM bytes. Out: two new files. An existing file is never replaced: a key that is lost
cannot be made again.
"""

import os
import stat
from pathlib import Path
from typing import Final

from deployopt.core.errors import UsageError
from deployopt.store.faults import storage_errors
from deployopt.store.writing import sync_folder, write_new_file

KEY_MAX: Final = 2**16
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def public_name(private: Path) -> Path:
    """`K.pub` beside `K`."""
    return private.with_name(f"{private.name}.pub")


def write_key_pair(private: Path, private_pem: bytes, public_pem: bytes) -> None:
    """Write `K` with mode 0600 and `K.pub`.

    Raises:
        UsageError: one of them is there, or their folder is not.
        StorageError: the disk failed.
    """
    public = public_name(private)
    for path in (private, public):
        if path.is_symlink() or path.exists():
            raise UsageError(
                f"{path} is there already, and a key is never replaced. Name another file."
            )
    if not private.parent.is_dir():
        raise UsageError(f"There is no folder {private.parent} for the key. Make it first.")
    with storage_errors("writing the keys", private):
        _write_private(private, private_pem)
        write_new_file(public, public_pem)
        sync_folder(private.parent)


def read_key(path: Path) -> bytes:
    """The bytes of a key's file.

    Raises:
        UsageError: there is none, or it is no file that a key could be in.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise UsageError(f"The key {path} cannot be read: {error.strerror}.") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > KEY_MAX:
            raise UsageError(f"{path} is no file of at most {KEY_MAX} bytes, so no key.")
        return os.read(descriptor, KEY_MAX)
    finally:
        os.close(descriptor)


def is_shared(path: Path) -> bool:
    """Whether others than its owner may read it."""
    return bool(path.stat().st_mode & 0o077)


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, _CREATE, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
