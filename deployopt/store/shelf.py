"""Objects by digest: verified and held when taken, put in place whole, quarantined when damaged."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import StorageError
from deployopt.store.descriptors import descriptors
from deployopt.store.digests import DigestMemo
from deployopt.store.layout import Layout
from deployopt.store.locks import hold, is_same
from deployopt.store.objects import read_object
from deployopt.store.staging import unique_name
from deployopt.store.writing import sync_folder

_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_ATTEMPTS = 100


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the store was not as it was left, and was moved to quarantine."""

    what: str
    """An object's digest, or `kind/key` of a record."""
    why: str


class Shelf:
    """The objects of one store, those in use held against collection until `close`."""

    def __init__(self, layout: Layout) -> None:
        self.notices: list[Notice] = []
        self.memo = DigestMemo()
        self._layout = layout
        self._held: dict[str, int] = {}

    def folder(self, digest: str) -> Path:
        """Where the object stands or would."""
        return self._layout.objects / digest

    def take(self, digest: str) -> tuple[FileEntry, ...] | None:
        """Hold the object and compare every byte; None when it is not there or was damaged."""
        if not self._hold(digest):
            return None
        try:
            return read_object(self.folder(digest), digest, self.memo)
        except ValueError as error:
            if is_same(self.folder(digest), self._held[digest]):
                self.quarantine(self.folder(digest), digest, str(error))
            self._release(digest)
            return None

    def place(self, folder: Path, digest: str) -> None:
        """Rename the sealed `folder` to its name; where the same object stands, leave that."""
        for _ in range(_ATTEMPTS):
            if self._rename(folder, digest) or self.take(digest) is not None:
                # Also when another process renamed it: it may not have come to this line.
                sync_folder(self._layout.objects)
                return
        raise StorageError(
            f"The object {digest} could not be put into {self._layout.objects}: what stands there "
            "is damaged and comes back. Check the disk."
        )

    def quarantine(self, path: Path, what: str, why: str) -> None:
        """Move what is damaged out of sight, and note it."""
        with suppress(FileNotFoundError):
            path.rename(self._layout.quarantine / f"{unique_name()}-{path.name}")
            self.notices.append(Notice(what=what, why=why))

    def close(self) -> None:
        """Let all objects go."""
        for digest in list(self._held):
            self._release(digest)

    def _rename(self, folder: Path, digest: str) -> bool:
        try:
            folder.rename(self.folder(digest))
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        # The staging folder's own hold moved with it and ends later, so nobody comes between.
        return self._hold(digest)

    def _hold(self, digest: str) -> bool:
        held = self._held.get(digest)
        if held is not None:
            if is_same(self.folder(digest), held):
                return True
            self._release(digest)
        self._make_room()
        descriptor = hold(self.folder(digest))
        if descriptor is None:
            return False
        self._held[digest] = descriptor
        return True

    def _make_room(self) -> None:
        """For one more; where the system gives none, what was taken first is let go.

        Keys name it, so that only a collection of everything could now remove it.
        """
        while self._held and descriptors(len(self._held) + 1) <= len(self._held):
            self._release(next(iter(self._held)))

    def _release(self, digest: str) -> None:
        os.close(self._held.pop(digest))
