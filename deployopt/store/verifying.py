"""Is a bundle, byte for byte, what its manifest says.

In: a bundle's folder. Out: its manifest. Refused, every mismatch listed at once: files missing,
added or changed, links, devices, second names, executable files, names that could leave the folder
or fall together. Only `verifications/`, which a device adds to later, is outside the manifest.
"""

import stat
from pathlib import Path

from deployopt.core.bundle import FileEntry, Manifest
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.store.digests import DigestMemo
from deployopt.store.faults import storage_errors
from deployopt.store.listing import Listing, list_folder
from deployopt.store.manifests import read_manifest
from deployopt.store.paths import MANIFEST, SEAL, VERIFICATIONS, path_problem, path_problems
from deployopt.store.staging import is_staging_name


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
        shown = "\n".join(f"  - {problem}" for problem in problems)
        raise IntegrityError(
            f"{folder} is not the bundle that was built ({len(problems)} mismatches):\n{shown}\n"
            "Take a fresh copy, or build it again."
        )
    return manifest


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
    return missing + resized + [f"{entry.path!r} has other bytes" for entry in changed]


def _covered(listing: Listing) -> set[str]:
    """The files that the manifest must list, or is."""
    return {name for name in listing.sizes_bytes if not _is_added_later(name)}


def _is_added_later(name: str) -> bool:
    return name.split("/", 1)[0] == VERIFICATIONS


def _stray_folders(listing: Listing, listed: set[str]) -> list[str]:
    needed = {str(parent) for name in listed for parent in Path(name).parents}
    return [
        f"{name!r} is a folder of nothing listed"
        for name in listing.folders
        if name not in needed and not _is_added_later(name)
    ]


def _foreign_verifications(listing: Listing) -> list[str]:
    """Only plain files directly in `verifications/`, and what a killed writer left there."""
    problems = []
    for name in (*listing.folders, *listing.sizes_bytes):
        top, _, rest = name.partition("/")
        if top != VERIFICATIONS or is_staging_name(rest.split("/", 1)[0]):
            continue
        if name in listing.folders and rest:
            problems.append(f"{name!r} is a folder in {VERIFICATIONS!r}")
        elif name in listing.sizes_bytes and ("/" in rest or path_problem(rest) is not None):
            problems.append(f"{name!r} may not be in {VERIFICATIONS!r}")
    return problems
