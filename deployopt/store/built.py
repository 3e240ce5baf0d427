"""Native code that this store's own processes built: given back as it was put, or not at all.

In: a folder, a name that says everything that the bytes depend on, the same as a record. Out: the
bytes. What is kept carries a seal by a secret of the folder's own, so that nothing that another
store, user or bundle put there is given back. Whatever is not exactly what was put is removed.
"""

import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from deployopt.store.faults import storage_errors
from deployopt.store.keys import frame_fields
from deployopt.store.staging import remove_tree
from deployopt.store.writing import atomic_write_bytes, make_folders, sync_folder

_OWN: Final = "own.key"
_OWN_BYTES: Final = 32
_SEAL_BYTES: Final = 65
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def keep_built(folder: Path, name: str, record: bytes, data: bytes) -> None:
    """Put `data` as `name`; raises StorageError when the disk fails."""
    with storage_errors("keeping what was built", folder):
        make_folders(folder)
        own = _own(folder) or _made_own(folder)
    atomic_write_bytes(_path(folder, name), _sealed(own, name, record, data) + data)


def read_built(folder: Path, name: str, record: bytes) -> bytes | None:
    """What was put as `name` with just this record; None, and nothing is left of it, otherwise."""
    path = _path(folder, name)
    try:
        with os.fdopen(os.open(path, _READ), "rb") as stream:
            seal, data = stream.read(_SEAL_BYTES), stream.read()
    except FileNotFoundError:
        return None
    except OSError:  # a link, or a disk that fails
        seal, data = b"", b""
    own = _own(folder)
    if own is not None and hmac.compare_digest(seal, _sealed(own, name, record, data)):
        return data
    with suppress(OSError):
        remove_tree(path)
    return None


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.built"


def _sealed(own: bytes, name: str, record: bytes, data: bytes) -> bytes:
    """Over the record and the sha256 of the data."""
    told = frame_fields([name.encode(), record, hashlib.sha256(data).digest()])
    return f"{hmac.new(own, told, hashlib.sha256).hexdigest()}\n".encode()


def _own(folder: Path) -> bytes | None:
    """None where there is none, or others could have put or read it."""
    try:
        descriptor = os.open(folder / _OWN, _READ)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        found = stream.read(_OWN_BYTES + 1) if own and not status.st_mode & _OTHERS else b""
    return found if len(found) == _OWN_BYTES else None


def _made_own(folder: Path) -> bytes:
    """Made by one process only; what was sealed with another is worth nothing from here on."""
    path = folder / _OWN
    made = secrets.token_bytes(_OWN_BYTES)
    staged = folder / f".{_OWN}-{secrets.token_hex(8)}"
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(made)
        stream.flush()
        os.fsync(descriptor)
    staged.replace(path)
    sync_folder(folder)
    return _own(folder) or made
