"""Bringing files into the store under a key of their content, checked before they are stored."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import IntegrityError, RefusedInputError, UsageError
from deployopt.store.keys import JsonValue, cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import copy_new_file, make_folders

VERSION: Final = 1


def file_entries(folder: Path, names: Iterable[str], store: Store) -> tuple[FileEntry, ...]:
    """Size and sha256 of the named files, links followed."""
    found = []
    for name in names:
        path = (folder / name).resolve()
        digest = store.memo.sha256(path)
        found.append(FileEntry(path=name, size_bytes=path.stat().st_size, sha256=digest))
    return tuple(found)


def source_key(kind: str, entries: Iterable[FileEntry]) -> str:
    """The key under which files of this content stand."""
    files: list[JsonValue] = [[entry.path, entry.sha256] for entry in entries]
    return cache_key({"source": kind, "version": VERSION, "files": files})


def adopt(
    folder: Path,
    entries: Iterable[FileEntry],
    store: Store,
    *,
    key: str,
    check: Callable[[Path], None],
) -> StoredObject:
    """Copy the files into the store, unless it has them; `check` sees the copy before it counts."""
    held = store.lookup(key)
    if held is not None:
        return held
    entries = tuple(entries)
    store.require_space(sum(entry.size_bytes for entry in entries), "A copy of the model")
    with store.stage() as staged:
        for entry in entries:
            target = staged / entry.path
            make_folders(target.parent)
            copied = copy_new_file((folder / entry.path).resolve(), target)
            if copied != (entry.size_bytes, entry.sha256):
                raise IntegrityError(f"{folder / entry.path} changed while it was read.")
        check_as(staged, str(folder), check)
        return store.commit(staged, key)


def check_as(staged: Path, where: str, check: Callable[[Path], None]) -> None:
    """Check a copy; what is wrong is said of `where` it came from, not of the copy."""
    try:
        check(staged)
    except (UsageError, RefusedInputError) as error:
        raise type(error)(str(error).replace(str(staged), where)) from error
