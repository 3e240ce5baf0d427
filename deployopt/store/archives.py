"""A bundle as one file for the way: a plain tar, written in one order and read in no other.

In: a bundle, or such a file. Out: the file, or the folder as it was. The reader knows from the
manifest, which comes first, what must follow: each file's name, size and digest, in order. So no
link, device, folder, second copy, longer file or name out of the folder is ever looked at: it is
not what comes next. Nothing is compressed, so nothing grows; nothing is placed before all of it
holds.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from deployopt.core.bundle import Manifest
from deployopt.core.codec import SIZE_MAX
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.text import safe_text
from deployopt.store.faults import require_space, storage_errors
from deployopt.store.manifests import manifest_from
from deployopt.store.paths import MANIFEST, SEAL, SIGNATURE, SIGNATURE_FILES, path_problems
from deployopt.store.staging import staged_folder, sweep
from deployopt.store.verifying import verify_bundle
from deployopt.store.writing import CHUNK_BYTES, make_folders, new_file, sync_folder

BLOCK: Final = 512
_END: Final = bytes(2 * BLOCK)
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NAME: Final = 100
_PREFIX: Final = 155
_SIZE_MAX: Final = 8**11 - 1


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """What went into, or came out of, an archive."""

    manifest: Manifest
    files: int
    size_bytes: int
    signed: bool


def pack_bundle(bundle: Path, archive: Path) -> Packed:
    """Write a whole bundle, with its signature and without what devices added, to `archive`.

    Raises:
        IntegrityError: the bundle is not what its manifest says.
        UsageError: something is at `archive`, or it lies in the bundle.
        StorageError: the disk failed; nothing is at `archive`.
    """
    manifest = verify_bundle(bundle)
    archive = archive.absolute()
    _require_free(archive)
    if archive.is_relative_to(bundle.absolute()):
        raise UsageError(f"{archive} lies inside the bundle, which stays as built. Name another.")
    signed = (bundle / SIGNATURE).is_dir()
    names = [MANIFEST, *_following(manifest, signed=signed)]
    with storage_errors("packing the bundle", archive):
        make_folders(archive.parent)
        sweep(archive.parent)
        with staged_folder(archive.parent) as staging:
            staged = staging / "archive"
            with new_file(staged) as out:
                for name in names:
                    _write_member(out, bundle, name)
                out.write(_END)
            _require_free(archive)
            staged.rename(archive)
            sync_folder(archive.parent)
    total = sum(entry.size_bytes for entry in manifest.files)
    return Packed(manifest=manifest, files=len(names), size_bytes=total, signed=signed)


def unpack_bundle(archive: Path, destination: Path) -> Packed:
    """Read an archive into a new folder, which is there whole or not at all.

    Raises:
        IntegrityError: it is not an archive that `pack` wrote, or not one byte of it is different.
        UsageError: there is no archive, or something is at `destination`.
        StorageError: the disk failed.
    """
    destination = destination.absolute()
    _require_free(destination)
    with storage_errors("unpacking the bundle", destination), _opened(archive) as source:
        make_folders(destination.parent)
        sweep(destination.parent)
        reader = _Reader(source, archive)
        with staged_folder(destination.parent) as staging:
            folder = staging / "bundle"
            folder.mkdir(mode=0o755)
            packed = _read_all(reader, folder)
            verify_bundle(folder)
            _sync_all(folder)
            _require_free(destination)
            folder.rename(destination)
            sync_folder(destination.parent)
    return packed


def _following(manifest: Manifest, *, signed: bool) -> list[str]:
    """What comes after the manifest, in order; what is signed, last."""
    built = [SEAL, *sorted(entry.path for entry in manifest.files)]
    return built + [f"{SIGNATURE}/{name}" for name in SIGNATURE_FILES if signed]


def _write_member(out: BinaryIO, bundle: Path, name: str) -> None:
    descriptor = os.open(bundle / name, _READ)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        out.write(_packed_header(name, size))
        left = size
        while left and (chunk := file.read(min(left, CHUNK_BYTES))):
            out.write(chunk)
            left -= len(chunk)
        if left or file.read(1):
            raise IntegrityError(f"{bundle / name} changed while it was packed. Pack it again.")
    out.write(bytes(-size % BLOCK))


def _packed_header(name: str, size: int) -> bytes:
    try:
        return _header(name, size)
    except ValueError as error:
        raise UsageError(f"{name} cannot be packed: {error}.") from error


def _header(name: str, size: int) -> bytes:
    """The one header that a file of this name and size has: POSIX ustar, nobody's, of 1970.

    Raises ValueError where there is none.
    """
    prefix, base = _split(name)
    if not 0 <= size <= _SIZE_MAX:
        raise ValueError(f"its size of {size} bytes is not one that an archive can say (8 GiB)")
    fields = (
        base.encode().ljust(_NAME, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,
        b"%011o\0" % size,
        b"%011o\0" % 0,
        b" " * 8,
        b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(80),
        prefix.encode().ljust(_PREFIX, b"\0"),
        bytes(12),
    )
    plain = b"".join(fields)
    return plain[:148] + b"%06o\0 " % sum(plain) + plain[156:]


def _split(name: str) -> tuple[str, str]:
    """Where a long path is parted for the two fields of a header."""
    if len(name) <= _NAME:
        return "", name
    place = name.find("/", len(name) - _NAME - 1)
    if place < 0 or place > _PREFIX:
        raise ValueError("its name is too long")
    return name[:place], name[place + 1 :]


class _Reader:
    """What comes next, and nothing else."""

    def __init__(self, source: BinaryIO, archive: Path) -> None:
        self._source = source
        self._archive = archive

    def first_size(self, name: str, most: int) -> int:
        """The size of a file whose size nothing has said yet."""
        header = self._take(BLOCK, name)
        with suppress(ValueError):
            size = int(header[124:135], 8)
            if size <= most and header == _header(name, size):
                return size
        raise self._refused(f"{name} does not come first, as a plain file of at most {most} bytes")

    def expect(self, name: str, size: int) -> None:
        """The header of this very file."""
        header = self._take(BLOCK, name)
        with suppress(ValueError):
            if header == _header(name, size):
                return
        raise self._refused(f"what follows is not {name}, a plain file of {size} bytes")

    def content(self, name: str, size: int) -> Iterator[bytes]:
        """Its bytes, and the empty ones that fill the last block."""
        left = size
        while left:
            chunk = self._take(min(left, CHUNK_BYTES), name)
            left -= len(chunk)
            yield chunk
        if any(self._take(-size % BLOCK, name)):
            raise self._refused(f"something lies between {name} and what follows it")

    def has_more(self) -> bool:
        """Whether another file follows, rather than the end."""
        place = self._source.tell()
        more = self._source.read(BLOCK) != bytes(BLOCK)
        self._source.seek(place)
        return more

    def end(self) -> None:
        """Two empty blocks, and nothing after them."""
        if self._source.read(len(_END) + 1) != _END:
            raise self._refused("it does not end where its last file does")

    def _take(self, size: int, name: str) -> bytes:
        data = self._source.read(size)
        if len(data) != size:
            raise self._refused(f"it ends within {name}")
        return data

    def _refused(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"{self._archive} is not an archive as `deployopt pack` writes it: {safe_text(why)}. "
            "Nothing of it was kept. Take a fresh copy, or have the bundle packed again."
        )


def _read_all(reader: _Reader, folder: Path) -> Packed:
    size = reader.first_size(MANIFEST, SIZE_MAX)
    data = b"".join(reader.content(MANIFEST, size))
    manifest = manifest_from(data, MANIFEST)
    problems = path_problems(entry.path for entry in manifest.files)
    if problems:
        raise IntegrityError(f"The manifest of the archive lists no bundle: {problems[0]}.")
    total = sum(entry.size_bytes for entry in manifest.files if entry.size_bytes > 0)
    require_space(folder, total, "The bundle")
    _keep(folder / MANIFEST, iter([data]))
    seal = f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode()
    reader.expect(SEAL, len(seal))
    _keep(folder / SEAL, reader.content(SEAL, len(seal)))
    for entry in sorted(manifest.files, key=lambda entry: entry.path):
        reader.expect(entry.path, entry.size_bytes)
        _keep(folder / entry.path, reader.content(entry.path, entry.size_bytes))
    signed = reader.has_more()
    for name in SIGNATURE_FILES if signed else ():
        path = f"{SIGNATURE}/{name}"
        size_there = reader.first_size(path, SIZE_MAX)
        _keep(folder / path, reader.content(path, size_there))
    reader.end()
    files = len(_following(manifest, signed=signed)) + 1
    return Packed(manifest=manifest, files=files, size_bytes=total, signed=signed)


def _keep(path: Path, chunks: Iterator[bytes]) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with new_file(path) as out:  # O_EXCL and O_NOFOLLOW: nothing is written over
        for chunk in chunks:
            out.write(chunk)


def _sync_all(folder: Path) -> None:
    for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        sync_folder(path)
    sync_folder(folder)


def _require_free(path: Path) -> None:
    if path.is_symlink() or path.exists():
        raise UsageError(f"{path} is there already, and is left as it is. Name another place.")


def _opened(archive: Path) -> BinaryIO:
    try:
        descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"The archive {archive} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{archive} is no regular file, so no archive.")
    return os.fdopen(descriptor, "rb")
