"""Small sealed files: bytes with the digest of themselves and of the name they were put under.

A flipped bit, a torn write, or a file put in another's place is noticed on reading.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from deployopt.store.faults import is_damage
from deployopt.store.keys import frame_fields
from deployopt.store.writing import replace_through

_MAGIC = b"deployopt-record-1 "
_HEX = 64


def write_record(staging: Path, path: Path, payload: bytes) -> None:
    """Put `payload` at `path` atomically; it belongs to the last two names of the path."""
    replace_through(staging, path, seal(_label(path), payload))


def read_record(path: Path) -> bytes | None:
    """The payload as it was written; None when nothing is there.

    Raises ValueError when the bytes are not the ones that were written here.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        if is_damage(error):
            raise ValueError(f"{_label(path)} cannot be read: {error.strerror}") from error
        raise
    return unseal(_label(path), data)


def newest_first(folder: Path) -> list[Path]:
    """The records of one kind by the time they were put; none where there is no such folder."""
    found: list[tuple[int, str]] = []
    with suppress(FileNotFoundError), os.scandir(folder) as children:
        for child in children:
            with suppress(FileNotFoundError):  # another process may be trimming
                found.append((child.stat(follow_symlinks=False).st_mtime_ns, child.name))
    return [folder / name for _, name in sorted(found, reverse=True)]


def seal(label: str, payload: bytes) -> bytes:
    """One line with the digest of label and payload, then the payload."""
    return _MAGIC + _digest(label, payload) + b"\n" + payload


def unseal(label: str, data: bytes) -> bytes:
    """The payload; ValueError when the seal does not fit."""
    start = len(_MAGIC) + _HEX + 1
    payload = data[start:]
    if data[:start] != _MAGIC + _digest(label, payload) + b"\n":
        raise ValueError(f"the bytes of {label} are not the ones that were written")
    return payload


def _label(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _digest(label: str, payload: bytes) -> bytes:
    framed = frame_fields([label.encode(), payload])
    return hashlib.sha256(framed).hexdigest().encode()
