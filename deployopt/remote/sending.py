"""Files to a device: only those that it lacks, each from where a broken transfer left off.

In: files with their digests. Out: they are there, verified by the device. A file that changes while
it is sent is an IntegrityError.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import IntegrityError
from deployopt.core.units import Dimension, show_quantity
from deployopt.device.framing import CHUNK_MAX
from deployopt.device.protocol import Working
from deployopt.device.serving_words import Have, Put, decode_word
from deployopt.remote.link import Link, RefusedError, Signs, unheard
from deployopt.store.digests import DigestMemo

QUIET_S: Final = 60.0
"""A transfer of which no byte moves for so long is lost."""
_READING_S: Final = 600.0
"""The device reads, and hashes, what it has of the files before it answers."""
_Advance = Callable[[int], None]
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file here, and what it was when it was looked at."""

    path: Path
    sha256: str
    size: int


class _From(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    offset: int


class _Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sha256: str


def local_file(path: Path, memo: DigestMemo) -> LocalFile:
    """Look at a file; raises RefusedInputError where it is none."""
    real = path.resolve()
    return LocalFile(path=real, sha256=memo.sha256(real), size=real.stat().st_size)


def send_missing(link: Link, files: Sequence[LocalFile], signs: Signs = unheard) -> int:
    """Send what the device lacks; the bytes that were sent.

    Raises:
        LostError: the connection ended; what arrived is not lost.
        RefusedError: the device has no space.
        IntegrityError: a file changed here, or the device answered nonsense.
    """
    by_digest = {file.sha256: file for file in files}
    asked = Have(digests=tuple(by_digest))
    missing = decode_word(link.ask("have", asked, "missing", _READING_S), Have).digests
    if not set(missing) <= set(by_digest):
        raise IntegrityError("The device asked for a file that was not offered.")
    lacking = [by_digest[digest] for digest in dict.fromkeys(missing)]
    total = sum(file.size for file in lacking)
    sent = 0

    def advance(count: int) -> None:
        nonlocal sent
        sent += count
        what = f"sending {_shown(sent)} of {_shown(total)}"
        signs(Working(share=min(1.0, sent / max(1, total)), what=what))

    for file in lacking:
        _send(link, file, advance)
    return sent


def _send(link: Link, file: LocalFile, advance: _Advance) -> None:
    try:
        _send_once(link, file, advance)
    except RefusedError as error:
        if error.kind != "integrity":
            raise
        # What an earlier connection left was not this file's beginning; it is forgotten now.
        _send_once(link, file, advance)


def _send_once(link: Link, file: LocalFile, advance: _Advance) -> None:
    put = Put(sha256=file.sha256, size=file.size)
    offset = decode_word(link.ask("put", put, "from", _READING_S), _From).offset
    if not 0 <= offset <= file.size:
        raise IntegrityError("The device has more of a file than there is.")
    advance(offset)
    descriptor = os.open(file.path, _READ)
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        left = file.size - offset
        while left > 0:
            chunk = os.read(descriptor, min(left, CHUNK_MAX))
            if not chunk:
                raise IntegrityError(f"{file.path} became shorter while it was sent.")
            link.send_chunk(chunk, QUIET_S)
            left -= len(chunk)
            advance(len(chunk))
    finally:
        os.close(descriptor)
    stored = decode_word(link.answer("stored", _READING_S), _Stored)
    if stored.sha256 != file.sha256:
        raise IntegrityError("The device stored another file than it was sent.")


def _shown(size: int) -> str:
    return show_quantity(size, Dimension.SIZE)
