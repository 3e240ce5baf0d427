"""Files for other programs go where the user asked for them: all at once, or nothing.

In: what to copy and what to write. Out: a new folder or file, brought to the disk. Whatever is at
the destination stays as it is.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.store.faults import require_space, storage_errors
from deployopt.store.paths import path_problem
from deployopt.store.staging import staged_folder, sweep
from deployopt.store.writing import (
    CHUNK_BYTES,
    copy_new_file,
    make_folders,
    sync_file,
    sync_folder,
    write_new_file,
)


def require_nothing_at(destination: Path) -> None:
    """Raise UsageError where something is, even a broken link."""
    if destination.is_symlink() or destination.exists():
        raise UsageError(f"{destination} is there already, and is left as it is. Name a new path.")


def hand_over_folder(
    copies: Mapping[str, Path],
    texts: Mapping[str, str],
    destination: Path,
    *,
    digests: Mapping[str, str] | None = None,
) -> tuple[FileEntry, ...]:
    """Copies and texts by their path in the new folder; `digests` are of those that must be so.

    Raises:
        UsageError: something is at the destination.
        IntegrityError: a copy is not what its digest says; nothing is at the destination.
        StorageError: the disk failed; nothing is at the destination.
    """
    destination = destination.absolute()
    require_nothing_at(destination)
    bad = [name for name in (*copies, *texts) if path_problem(name) is not None]
    if bad:
        raise UsageError(f"{bad[0]!r} is no name for a file.")
    with storage_errors("writing the folder", destination):
        sizes = sum(path.stat().st_size for path in copies.values())
        make_folders(destination.parent)
        sweep(destination.parent)
        require_space(destination.parent, sizes, "The folder")
        with staged_folder(destination.parent) as staging:
            folder = staging / "folder"
            folder.mkdir(mode=0o755)
            entries = [_copied(folder, name, path) for name, path in sorted(copies.items())]
            entries += [_written(folder, name, text) for name, text in sorted(texts.items())]
            _require_digests(entries, digests or {})
            for inner in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
                sync_folder(inner)
            sync_folder(folder)
            require_nothing_at(destination)
            folder.rename(destination)
            sync_folder(destination.parent)
    return tuple(sorted(entries, key=lambda entry: entry.path))


def hand_over_file(
    write: Callable[[Path], None], size_bytes: int, destination: Path
) -> tuple[FileEntry, ...]:
    """A file that `write` makes beside its destination, of about `size_bytes`.

    Raises:
        UsageError: something is at the destination.
        StorageError: the disk failed; nothing is at the destination.
    """
    destination = destination.absolute()
    require_nothing_at(destination)
    with storage_errors("writing the file", destination):
        make_folders(destination.parent)
        sweep(destination.parent)
        require_space(destination.parent, size_bytes, "The file")
        with staged_folder(destination.parent) as staging:
            staged = staging / "file"
            write(staged)
            staged.chmod(0o644)
            sync_file(staged)
            entry = FileEntry(
                path=destination.name, size_bytes=staged.stat().st_size, sha256=_digest(staged)
            )
            require_nothing_at(destination)
            staged.rename(destination)
            sync_folder(destination.parent)
    return (entry,)


def _copied(folder: Path, name: str, source: Path) -> FileEntry:
    make_folders((folder / name).parent)
    size, digest = copy_new_file(source, folder / name)
    return FileEntry(path=name, size_bytes=size, sha256=digest)


def _written(folder: Path, name: str, text: str) -> FileEntry:
    data = text.encode()
    make_folders((folder / name).parent)
    write_new_file(folder / name, data)
    return FileEntry(path=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _require_digests(entries: Sequence[FileEntry], digests: Mapping[str, str]) -> None:
    for entry in entries:
        if digests.get(entry.path, entry.sha256) != entry.sha256:
            raise IntegrityError(
                f"{entry.path} changed while it was copied. Take a fresh copy of it, and try again."
            )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()
