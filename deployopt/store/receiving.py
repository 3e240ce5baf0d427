"""Files that come over a connection, kept by their sha256.

In: a digest, a size, bytes in order. Out: `objects/<sha256>`, complete and on the disk before the
name exists. What a broken connection left is gone on with. Only the standard library is used: this
file is also a part of the program that is sent to a device before anything is installed there.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_CHUNK: Final = 2**20
_RESERVE_BYTES: Final = 64 * 2**20
_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class ReceivingError(Exception):
    """A file could not be kept: `kind` says whether for its bytes or for the disk."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Objects:
    """The files under a root; one object of this class for one connection."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked: set[str] = set()
        for folder in (root, self._objects, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def _objects(self) -> Path:
        return self.root / "objects"

    @property
    def _incoming(self) -> Path:
        return self.root / "incoming"

    def path(self, digest: str) -> Path:
        """Where an object lies, or would; ReceivingError where the text is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise ReceivingError("integrity", "A file was named by what is no sha256.")
        return self._objects / digest

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Those that are not here, or not with their bytes; each is read once a connection."""
        return [digest for digest in digests if not self._has(digest)]

    def free_bytes(self) -> int:
        """What may still be written, less a reserve."""
        return shutil.disk_usage(self.root).free - _RESERVE_BYTES

    @contextmanager
    def receiving(self, digest: str, size: int) -> Iterator["Incoming"]:
        """A file that is about to come; its `offset` says how much of it is here already."""
        self.path(digest)
        part, descriptor = self._open_part(digest)
        try:
            incoming = Incoming(part, descriptor, size)
            needed = size - incoming.offset
            if needed > self.free_bytes():
                self._clear(self._checked)
            if needed > self.free_bytes():
                raise ReceivingError("space", self._full(size))
            yield incoming
            with self._disk(size):
                os.fsync(descriptor)
            if incoming.digest != digest:
                part.unlink()
                raise ReceivingError("integrity", "A file came with other bytes than announced.")
            os.fchmod(descriptor, 0o444)
            part.rename(self.path(digest))
            _sync_folder(self._objects)
            self._checked.add(digest)
        finally:
            os.close(descriptor)

    def write(self, incoming: "Incoming", chunks: Iterable[bytes], size: int) -> None:
        """Take all of the chunks, even those that no longer fit on the disk, then say so."""
        failure: ReceivingError | None = None
        for chunk in chunks:
            if failure is None:
                try:
                    with self._disk(size):
                        incoming.add(chunk)
                except ReceivingError as error:
                    failure = error
                    incoming.forget()
        if failure is not None:
            raise failure

    def place(self, digest: str, target: Path) -> None:
        """Give an object a second name; ReceivingError where it is not here any more."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            try:
                os.link(self.path(digest), target)
            except FileNotFoundError as error:
                raise ReceivingError("missing", "A file is not on the device any more.") from error

    def forget(self, digests: Iterable[str]) -> None:
        """Remove objects that are of no more use."""
        for digest in digests:
            self.path(digest).unlink(missing_ok=True)

    def trim(self, most_bytes: int) -> None:
        """Forget all objects when they take more than this; who uses one has a name of its own."""
        entries = [entry for entry in os.scandir(self._objects) if entry.is_file()]
        if sum(entry.stat().st_size for entry in entries) > most_bytes:
            self._clear(frozenset())

    def _clear(self, kept: Collection[str]) -> None:
        for path in self._objects.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _has(self, digest: str) -> bool:
        path = self.path(digest)
        if digest not in self._checked and path.exists():
            if sha256_of(path) == digest:
                self._checked.add(digest)
            else:
                path.unlink(missing_ok=True)
        return digest in self._checked and path.exists()

    def _open_part(self, digest: str) -> tuple[Path, int]:
        """The beginning that is here, unless another connection is at it."""
        name = digest
        while True:
            path = self._incoming / name
            descriptor = os.open(path, _OPEN, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                name = f"{digest}-{os.getpid()}"
                continue
            # Another may have finished and renamed it between the two calls.
            if path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino:
                return path, descriptor
            os.close(descriptor)

    def _full(self, size: int) -> str:
        return (
            f"A file of {size // 2**20} MiB does not fit on the disk of {self.root}, which has "
            f"{max(0, self.free_bytes()) // 2**20} MiB to spare."
        )

    @contextmanager
    def _disk(self, size: int) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ReceivingError("space", f"{self._full(size)} ({error.strerror})") from error


class Incoming:
    """A file of which some bytes are here."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self.offset = os.fstat(descriptor).st_size
        if self.offset > size:
            self.forget()
        while chunk := os.read(descriptor, _CHUNK):
            self._digest.update(chunk)

    @property
    def digest(self) -> str:
        """The sha256 of what is here."""
        return self._digest.hexdigest()

    def add(self, chunk: bytes) -> None:
        """The next bytes."""
        self._digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def forget(self) -> None:
        """Begin anew."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._digest = hashlib.sha256()
        self.offset = 0


def sha256_of(path: Path) -> str:
    """The sha256 of a file, not following a link."""
    digest = hashlib.sha256()
    descriptor = os.open(path, _READ)
    try:
        while chunk := os.read(descriptor, _CHUNK):
            digest.update(chunk)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
