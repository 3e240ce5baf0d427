"""`manifest.json` and, beside it, `manifest.json.sha256`, which `sha256sum -c` reads too.

The manifest vouches for every file, and the second file for the manifest, so that one changed
byte anywhere is noticed. Both are written by deployopt only; who may have changed both is a
question for a signature.
"""

import hashlib
import os
import stat
from pathlib import Path

import msgspec

from deployopt.core.bundle import FORMAT_VERSION, Manifest
from deployopt.core.codec import SIZE_MAX, decode_json, encode_pretty
from deployopt.core.errors import IntegrityError
from deployopt.store.paths import MANIFEST, SEAL

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Version(msgspec.Struct, frozen=True):
    format_version: int


def encode_manifest(manifest: Manifest) -> tuple[bytes, bytes]:
    """The bytes of the manifest and of its seal. Raises ValueError when too large to be read."""
    data = encode_pretty(manifest)
    if len(data) > SIZE_MAX:
        raise ValueError(f"a manifest of {len(data)} bytes, more than {SIZE_MAX}, is never read")
    return data, _seal(data)


def read_manifest(folder: Path) -> tuple[Manifest, list[str]]:
    """The manifest, and what is wrong with its seal.

    Raises IntegrityError when there is none, or it cannot be read at all.
    """
    path = folder / MANIFEST
    data = _read(path)
    problems = [] if _sealed(folder, data) else [f"{MANIFEST!r} is not what {SEAL!r} says"]
    return manifest_from(data, str(path)), problems


def manifest_from(data: bytes, where: str) -> Manifest:
    """A manifest's bytes, read strictly; raises IntegrityError."""
    try:
        version = msgspec.json.decode(data, type=_Version).format_version
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        version = FORMAT_VERSION  # the strict reading below says what is wrong
    if version != FORMAT_VERSION:
        raise IntegrityError(
            f"{where} has format version {version}; this deployopt reads {FORMAT_VERSION}. "
            "Read it with the version of deployopt that made it."
        )
    return decode_json(data, Manifest, where=where)


def _seal(data: bytes) -> bytes:
    return f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode()


def _sealed(folder: Path, data: bytes) -> bool:
    try:
        return _read(folder / SEAL) == _seal(data)
    except IntegrityError:
        return False


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise IntegrityError(
            f"{path} cannot be read ({error.strerror}): {path.parent} is not a whole bundle."
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > SIZE_MAX:
            raise IntegrityError(
                f"{path} is not a regular file of at most {SIZE_MAX} bytes: "
                f"{path.parent} is not a bundle that deployopt wrote."
            )
        return _read_all(descriptor)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(SIZE_MAX)
