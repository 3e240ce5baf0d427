"""Is a bundle, byte for byte, what its manifest says.

In: a bundle's folder. Out: its manifest. Refused, every mismatch listed at once: files missing,
added or changed, links, devices, second names, executable files, names that could leave the folder
or fall together, programs and pickles whatever they are called. Two folders are outside the
manifest, as they come later: `verifications/`, which a device adds to, and `signature/`.
"""

import stat
from pathlib import Path
from typing import Final

from deployopt.core.bundle import FileEntry, Manifest
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.store.contents import foreign_content
from deployopt.store.digests import DigestMemo
from deployopt.store.faults import storage_errors
from deployopt.store.listing import Listing, list_folder
from deployopt.store.manifests import read_manifest
from deployopt.store.paths import (
    MANIFEST,
    SEAL,
    SIGNATURE,
    SIGNATURE_FILES,
    VERIFICATIONS,
    path_problem,
    path_problems,
)
from deployopt.store.staging import is_staging_name

_LATER: Final = frozenset({SIGNATURE, VERIFICATIONS})
_STAGED: Final = "file"
"""What a killed writer may have left in its folder."""


def verify_bundle(folder: Path, memo: DigestMemo | None = None) -> Manifest:
    """The manifest of the bundle in `folder`, after every file was compared with it.

    Raises IntegrityError that lists every mismatch. With a `memo`, files that this process has
    hashed before and that are unchanged since are not read again. UsageError where nothing is.
    """
    if not folder.exists():
        raise UsageError(f"There is nothing at {folder}. Name the folder that `build` published.")
    with storage_errors("reading the bundle", folder):
        manifest, problems = _read_manifest(folder)
        listing = list_folder(folder)
        problems += path_problems(entry.path for entry in manifest.files)
        problems += [f"{name!r} is executable" for name in listing.executable]
        problems += _unlisted(listing, manifest)
        problems += _mismatches(folder, manifest.files, listing, memo or DigestMemo())
    if problems:
        raise IntegrityError(
            f"{folder} is not the bundle that was built {mismatch_list(problems)}\n"
            "Take a fresh copy, or build it again."
        )
    return manifest


def mismatch_list(problems: list[str]) -> str:
    """How many there are, and each on a line of its own."""
    shown = "".join(f"\n  - {problem}" for problem in problems)
    return f"({len(problems)} mismatch{'' if len(problems) == 1 else 'es'}):{shown}"


def is_bundle(folder: Path) -> bool:
    """Whether `folder` holds a bundle and nothing else, by names, whatever the files' bytes."""
    try:
        manifest, _ = _read_manifest(folder)
        listing = list_folder(folder)
    except (IntegrityError, OSError):
        return False
    listed = {entry.path for entry in manifest.files} | {MANIFEST, SEAL}
    return listed == _covered(listing) and not _unlisted(listing, manifest)


def _read_manifest(folder: Path) -> tuple[Manifest, list[str]]:
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise IntegrityError(f"{folder} is not a folder, so not a bundle.")
    return read_manifest(folder)


def _unlisted(listing: Listing, manifest: Manifest) -> list[str]:
    """What is in the folder and should not be."""
    listed = {entry.path for entry in manifest.files}
    extra = sorted(_covered(listing) - listed - {MANIFEST, SEAL})
    return [
        *listing.problems,
        *(f"{name!r} is not listed" for name in extra),
        *_stray_folders(listing, listed),
        *_foreign_verifications(listing),
        *_foreign_signatures(listing),
    ]


def _mismatches(
    folder: Path, files: tuple[FileEntry, ...], listing: Listing, memo: DigestMemo
) -> list[str]:
    """What the files should be and are not: all sizes first, they cost nothing."""
    missing, resized, same_size = [], [], []
    for entry in files:
        # Only names that the walk found are opened, so a path out of the folder never is.
        size = listing.sizes_bytes.get(entry.path)
        if size is None:
            missing.append(f"{entry.path!r} is missing")
        elif size != entry.size_bytes:
            resized.append(f"{entry.path!r} has {size} bytes, not {entry.size_bytes}")
        else:
            same_size.append(entry)
    changed = [entry for entry in same_size if memo.sha256(folder / entry.path) != entry.sha256]
    found = [(entry.path, foreign_content(folder / entry.path)) for entry in same_size]
    return [
        *missing,
        *resized,
        *(f"{entry.path!r} has other bytes" for entry in changed),
        *(f"{path!r} is {kind}" for path, kind in found if kind is not None),
    ]


def _covered(listing: Listing) -> set[str]:
    """The files that the manifest must list, or is."""
    return {name for name in listing.sizes_bytes if not _is_added_later(name)}


def _is_added_later(name: str) -> bool:
    return name.split("/", 1)[0] in _LATER


def _stray_folders(listing: Listing, listed: set[str]) -> list[str]:
    needed = {str(parent) for name in listed for parent in Path(name).parents}
    return [
        f"{name!r} is a folder of nothing listed"
        for name in listing.folders
        if name not in needed and not _is_added_later(name)
    ]


def _foreign_verifications(listing: Listing) -> list[str]:
    """Only records directly in `verifications/`, and the file that a killed writer left there."""
    problems = []
    for name in (*listing.folders, *listing.sizes_bytes):
        top, _, rest = name.partition("/")
        if top != VERIFICATIONS or _is_leftover(rest):
            continue
        if name in listing.folders and rest:
            problems.append(f"{name!r} is a folder in {VERIFICATIONS!r}")
        elif name in listing.sizes_bytes and not _is_record(rest):
            problems.append(f"{name!r} may not be in {VERIFICATIONS!r}")
    return problems


def _is_leftover(rest: str) -> bool:
    staging, _, file = rest.partition("/")
    return is_staging_name(staging) and file in {"", _STAGED}


def _is_record(rest: str) -> bool:
    return rest.endswith(".json") and "/" not in rest and path_problem(rest) is None


def _foreign_signatures(listing: Listing) -> list[str]:
    """`signature/` has each of its files and nothing else, or is not there."""
    found = {name for name in listing.sizes_bytes if name.split("/", 1)[0] == SIGNATURE}
    found |= {name for name in listing.folders if name.split("/", 1)[0] == SIGNATURE}
    if not found:
        return []
    wanted = {SIGNATURE, *(f"{SIGNATURE}/{name}" for name in SIGNATURE_FILES)}
    return [
        *(f"{name!r} may not be in {SIGNATURE!r}" for name in sorted(found - wanted)),
        *(f"{name!r} is missing" for name in sorted(wanted - found)),
    ]
