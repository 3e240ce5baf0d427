"""One stored folder: `content/`, and beside it `manifest.json`, written last.

The object's name is the digest of the manifest's entries, so the manifest vouches for the content
and the name for the manifest.
"""

from pathlib import Path

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.store.digests import DigestMemo, entries_digest, folder_entries
from deployopt.store.faults import is_damage
from deployopt.store.listing import Listing, list_folder
from deployopt.store.writing import sync_file, sync_folder, write_new_file

CONTENT = "content"
_MANIFEST = "manifest.json"
_READ_ONLY = 0o444


def seal_object(folder: Path, memo: DigestMemo) -> tuple[FileEntry, ...]:
    """Bring `folder/content` and its manifest to the disk, files read-only; the entries.

    Empty sub-folders are removed: they are in no digest. Raises RefusedInputError on links and
    devices.
    """
    content = folder / CONTENT
    listing = list_folder(content)
    for name in listing.sizes_bytes:
        (content / name).chmod(_READ_ONLY)
    kept = _remove_empty(content, listing)
    entries = folder_entries(content, memo)
    for entry in entries:
        sync_file(content / entry.path)
    for name in reversed(kept):
        sync_folder(content / name)
    sync_folder(content)
    write_new_file(folder / _MANIFEST, msgspec.json.encode(entries))
    sync_folder(folder)
    return entries


def read_object(folder: Path, digest: str, memo: DigestMemo) -> tuple[FileEntry, ...]:
    """The entries of the object in `folder` after every file's sha256 was compared.

    Raises ValueError, listing every mismatch, when it is not the object named `digest`.
    """
    try:
        entries = _read_manifest(folder, digest)
        problems = _mismatches(folder, entries, memo)
    except OSError as error:
        if is_damage(error):
            raise ValueError(f"it cannot be read: {error}") from error
        raise
    if problems:
        raise ValueError("; ".join(problems))
    return entries


def _mismatches(folder: Path, entries: tuple[FileEntry, ...], memo: DigestMemo) -> list[str]:
    found = {child.name for child in folder.iterdir()} - {CONTENT, _MANIFEST}
    problems = [f"{name!r} is beside its content" for name in sorted(found)]
    listing = list_folder(folder / CONTENT)
    problems += listing.problems
    names = {entry.path for entry in entries}
    problems += [f"{name!r} is not listed" for name in sorted(set(listing.sizes_bytes) - names)]
    for entry in entries:
        problems += _compare(entry, folder / CONTENT / entry.path, listing, memo)
    return problems


def _compare(entry: FileEntry, path: Path, listing: Listing, memo: DigestMemo) -> list[str]:
    size = listing.sizes_bytes.get(entry.path)
    if size is None:
        return [f"{entry.path!r} is missing"]
    if size != entry.size_bytes:
        return [f"{entry.path!r} has {size} bytes, not {entry.size_bytes}"]
    found = memo.sha256(path)
    return [] if found == entry.sha256 else [f"{entry.path!r} has other bytes"]


def _read_manifest(folder: Path, digest: str) -> tuple[FileEntry, ...]:
    data = (folder / _MANIFEST).read_bytes()
    try:
        entries = msgspec.json.decode(data, type=tuple[FileEntry, ...])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"its manifest cannot be read: {error}") from error
    if entries_digest(entries) != digest:
        raise ValueError("its manifest is of another object")
    if msgspec.json.encode(entries) != data:
        raise ValueError("its manifest is not written as the store writes it")
    return entries


def _remove_empty(content: Path, listing: Listing) -> list[str]:
    kept = []
    for name in reversed(listing.folders):
        if any((content / name).iterdir()):
            kept.append(name)
        else:
            (content / name).rmdir()
    return kept[::-1]
