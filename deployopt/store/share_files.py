"""Files by their sha256 in a share: sent where they are not there, brought and compared.

In: a folder and its entries. Out: `files/<sha256>` in the share; or the files in a new folder,
every byte compared with the entry. Refused are names that could leave the folder, more files than
a model has or bytes than the disk takes, and a program, an archive or a pickle by its content.
"""

import hashlib
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from deployopt.core.bundle import FileEntry
from deployopt.core.units import Dimension, show_quantity
from deployopt.store.contents import foreign_content
from deployopt.store.paths import path_problems
from deployopt.store.share_place import Place, ShareError
from deployopt.store.writing import make_folders, new_file

FILES_MAX: Final = 4096
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_RESERVE_BYTES: Final = 64 * 2**20
_SHOWN: Final = 3
FILES: Final = "files"


class AlteredError(ValueError):
    """What lies in the share is not what it should be; names are of the files at fault."""

    def __init__(self, problems: Sequence[str], digests: Collection[str] = ()) -> None:
        more = "" if len(problems) <= _SHOWN else f"; and {len(problems) - _SHOWN} more"
        super().__init__("; ".join(problems[:_SHOWN]) + more)
        self.digests = frozenset(digests)


class GoneError(AlteredError):
    """A file that a record lists is not there any more."""


def listing_problems(entries: Sequence[FileEntry]) -> list[str]:
    """Why these files may not be brought, one sentence each."""
    if not 0 < len(entries) <= FILES_MAX:
        return [f"it lists {len(entries)} files, and 1 to {FILES_MAX} may be"]
    problems = path_problems(entry.path for entry in entries)
    for entry in entries:
        if not _DIGEST.fullmatch(entry.sha256) or entry.size_bytes < 0:
            problems.append(f"{entry.path!r} has no size and sha256")
    return problems


def send_files(
    place: Place, folder: Path, entries: Sequence[FileEntry], again: Collection[str] = ()
) -> None:
    """Write what the share does not have; also what is there, if it is among `again`.

    Raises:
        ShareError: a file could not be written, or is not whole where it was written.
    """
    for entry in {entry.sha256: entry for entry in entries}.values():
        name = _name(entry)
        if entry.sha256 not in again and place.size(name) == entry.size_bytes:
            continue
        place.put_file(name, folder / entry.path)
        there = place.size(name)
        if there != entry.size_bytes:
            raise ShareError(
                f"writing {name} in {place.shown}: {there or 0} of {entry.size_bytes} bytes came "
                "there."
            )


def bring_files(place: Place, entries: Sequence[FileEntry], folder: Path) -> None:
    """Write the files into a folder that is empty, and compare each.

    Raises:
        AlteredError: one is not there, or has other bytes; or what is listed may not be brought.
        ShareError: the share cannot be read.
        OSError: the disk failed.
    """
    problems = listing_problems(entries)
    if problems:
        raise AlteredError(problems)
    needed, free = sum(entry.size_bytes for entry in entries), shutil.disk_usage(folder).free
    if needed + _RESERVE_BYTES > free:
        sizes = [show_quantity(size, Dimension.SIZE) for size in (needed, free)]
        raise AlteredError([f"it takes {sizes[0]}, and {folder} has {sizes[1]} to spare"])
    for entry in entries:
        _bring(place, entry, folder)  # nothing more is fetched of what cannot be used


def require_files(place: Place, entries: Sequence[FileEntry]) -> None:
    """Find out, without fetching any, whether the files are there; raises as `bring_files`."""
    problems = listing_problems(entries)
    if problems:
        raise AlteredError(problems)
    for entry in entries:
        _require_size(place, entry)


def _require_size(place: Place, entry: FileEntry) -> None:
    there = place.size(_name(entry))
    if there is None:
        raise GoneError([f"{entry.path!r} is not there"], [entry.sha256])
    if there != entry.size_bytes:
        said = f"{entry.path!r} has {there} bytes, not {entry.size_bytes}"
        raise AlteredError([said], [entry.sha256])


def _bring(place: Place, entry: FileEntry, folder: Path) -> None:
    _require_size(place, entry)
    target = folder / entry.path
    make_folders(target.parent)
    digest = hashlib.sha256()
    with new_file(target) as stream:
        for part in place.parts(_name(entry), entry.size_bytes):
            digest.update(part)
            stream.write(part)
    if digest.hexdigest() != entry.sha256:
        raise AlteredError([f"{entry.path!r} has other bytes"], [entry.sha256])
    foreign = foreign_content(target)
    if foreign is not None:
        raise AlteredError([f"{entry.path!r} is {foreign}"], [entry.sha256])


def _name(entry: FileEntry) -> str:
    return f"{FILES}/{entry.sha256}"
