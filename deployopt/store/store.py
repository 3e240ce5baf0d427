"""The cache of everything that was built: folders and small records, found by key.

In: a key over what a result was made from. Out: the files, every byte compared with the sha256
that was recorded. What does not match is moved to quarantine, noted, and counts as not there, so
that it is built again. Any number of processes may use one store; none needs a lock to be right.
A store belongs to one machine: locks do not reach across a network file system.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.store.collecting import Collected, collect
from deployopt.store.digests import DigestMemo, entries_digest
from deployopt.store.faults import require_space, storage_errors
from deployopt.store.layout import Layout, checked_key, checked_kind, default_root
from deployopt.store.locks import lock_file
from deployopt.store.objects import CONTENT, seal_object
from deployopt.store.pointers import Pointer, checked_meta, read_pointer, write_pointer
from deployopt.store.records import newest_first, read_record, write_record
from deployopt.store.shelf import Notice, Shelf
from deployopt.store.staging import staged_folder
from deployopt.store.writing import make_folders, sync_folder

if TYPE_CHECKING:
    from deployopt.store.share import Share


class StoredObject(msgspec.Struct, frozen=True, kw_only=True):
    """A folder in the store, verified. Its files are read, never changed."""

    key: str
    digest: str
    folder: Path
    files: tuple[FileEntry, ...]
    meta: bytes
    """The JSON that was committed with the key."""

    @property
    def size_bytes(self) -> int:
        """The sum of all files."""
        return sum(entry.size_bytes for entry in self.files)


class Store:
    """The store in `root`, made on first use.

    Objects that were looked up or committed are held, and `gc` in any process leaves them, until
    this store is closed.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.layout = Layout(root=(root or default_root()).absolute())
        self._shelf = Shelf(self.layout)
        self.share: Share | None = None
        """Where steps' results are exchanged with other machines; set by who opened it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was found damaged since this store was opened."""
        return tuple(self._shelf.notices)

    @property
    def memo(self) -> DigestMemo:
        """The digests this process knows, for callers that hash the store's files again."""
        return self._shelf.memo

    def lookup(self, key: str) -> StoredObject | None:
        """What was committed under `key`, verified; None when it is to be built."""
        with storage_errors("reading the store", self.layout.root):
            data = self._sealed(self.layout.keys / checked_key(key))
            if data is None:
                return None
            pointer = read_pointer(data)
            files = self._shelf.take(pointer.digest)
        return None if files is None else self._stored(key, pointer, files)

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """An empty folder on the store's disk, to fill and to commit; gone on every way out."""
        with ExitStack() as stack:
            with storage_errors("making a staging folder", self.layout.root):
                self._make()
                content = stack.enter_context(staged_folder(self.layout.staging)) / CONTENT
                content.mkdir()
            yield content

    def commit(self, folder: Path, key: str, *, meta: bytes = b"{}") -> StoredObject:
        """Store what `stage` gave and somebody filled, under `key`; within the `with` block.

        Where another process has stored the same content meanwhile, theirs is used. `meta` is JSON.
        Raises StorageError when the disk fails, RefusedInputError on links and devices.
        """
        if folder.name != CONTENT or folder.parent.parent != self.layout.staging:
            raise ValueError(f"only a folder that stage() gave can be committed, not {folder}")
        path = self.layout.keys / checked_key(key)
        raw_meta = checked_meta(meta)
        with storage_errors("storing an object", self.layout.root):
            files = seal_object(folder.parent, self.memo)
            pointer = Pointer(digest=entries_digest(files), meta=raw_meta)
            self._shelf.place(folder.parent, pointer.digest)
            write_record(self.layout.staging, path, write_pointer(pointer))
        return self._stored(key, pointer, files)

    @contextmanager
    def building(
        self,
        key: str,
        *,
        timeout_s: float | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Iterator[bool]:
        """Keep others who also ask from building `key` at the same time; whether it worked.

        It saves work and nothing else: look the key up again inside the block. By default it waits
        as long as somebody who lives builds it; `on_wait` is called once a second.
        """
        with storage_errors("locking a key", self.layout.root):
            self._make()
        path = self.layout.locks / checked_key(key)
        with lock_file(path, timeout_s=timeout_s, on_wait=on_wait) as alone:
            yield alone

    def put_record(self, kind: str, key: str, payload: bytes) -> None:
        """Store a small result, such as a measurement, under a kind and a key."""
        path = self._record_path(kind, key)
        with storage_errors("storing a record", self.layout.root):
            self._make()
            make_folders(path.parent)
            write_record(self.layout.staging, path, payload)

    def read_record(self, kind: str, key: str) -> bytes | None:
        """What was put under the kind and the key; None when there is nothing, or it is damaged."""
        with storage_errors("reading the store", self.layout.root):
            return self._sealed(self._record_path(kind, key))

    def records(self, kind: str, most: int) -> Iterator[bytes]:
        """The newest records of a kind, at most so many; damaged ones are left out."""
        with storage_errors("reading the store", self.layout.root):
            for path in newest_first(self.layout.records / checked_kind(kind))[:most]:
                payload = self._sealed(path)
                if payload is not None:
                    yield payload

    def trim_records(self, kind: str, most: int) -> None:
        """Remove all but the newest records of a kind."""
        with storage_errors("trimming the store", self.layout.root):
            for path in newest_first(self.layout.records / checked_kind(kind))[most:]:
                path.unlink(missing_ok=True)

    def require_space(self, needed_bytes: int, what: str = "This build") -> None:
        """Raise StorageError, with what is needed and where, if the store's disk is too full."""
        require_space(self.layout.root, needed_bytes, what)

    def gc(self, *, everything: bool = False, dry_run: bool = False) -> Collected:
        """Remove what nobody needs: staging of dead processes, unreferenced objects, quarantine.

        `everything` drops the keys and records too, so all but what running builds hold.
        """
        with storage_errors("collecting garbage", self.layout.root):
            return collect(self.layout, everything=everything, dry_run=dry_run)

    def close(self) -> None:
        """Let go of the objects that were looked up or committed."""
        self._shelf.close()

    def _make(self) -> None:
        missing = [folder for folder in self.layout.folders() if not folder.is_dir()]
        if missing:
            make_folders(self.layout.root)
            for folder in missing:
                folder.mkdir(mode=0o755, exist_ok=True)
            sync_folder(self.layout.root)

    def _record_path(self, kind: str, key: str) -> Path:
        return self.layout.records / checked_kind(kind) / checked_key(key)

    def _sealed(self, path: Path) -> bytes | None:
        try:
            return read_record(path)
        except ValueError as error:
            self._shelf.quarantine(path, f"{path.parent.name}/{path.name}", str(error))
            return None

    def _stored(self, key: str, pointer: Pointer, files: tuple[FileEntry, ...]) -> StoredObject:
        return StoredObject(
            key=key,
            digest=pointer.digest,
            folder=self._shelf.folder(pointer.digest) / CONTENT,
            files=files,
            meta=bytes(pointer.meta),
        )
