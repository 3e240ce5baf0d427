"""Put a finished bundle where the user asked for it: all of it at once, or nothing.

The bundle is written beside its destination, manifest last, brought to the disk, and renamed. An
older bundle there changes places with it in one step. Where a file system cannot do that, the old
one first becomes `NAME.previous-…`: a kill in that instant leaves it there, whole, and nothing
under NAME. Anything that is not a bundle is never touched.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from deployopt.core.bundle import FileEntry, Manifest
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.store.exchanging import exchange
from deployopt.store.faults import require_space, storage_errors
from deployopt.store.manifests import encode_manifest
from deployopt.store.paths import MANIFEST, SEAL, VERIFICATIONS, path_problem, path_problems
from deployopt.store.staging import staged_folder, sweep, unique_name
from deployopt.store.verifying import is_bundle, verify_bundle
from deployopt.store.writing import (
    atomic_write_bytes,
    copy_new_file,
    make_folders,
    sync_folder,
    write_new_file,
)


def check_destination(destination: Path) -> None:
    """Raise UsageError unless nothing, an empty folder, or a bundle is at `destination`.

    Cheap: to be asked before the work, and again by `publish_bundle`.
    """
    if destination.is_symlink():
        raise UsageError(f"{destination} is a link. Name the folder itself for the bundle.")
    if not destination.exists():
        return
    if not destination.is_dir():
        raise UsageError(f"{destination} is a file. Name a new folder for the bundle.")
    if any(destination.iterdir()) and not is_bundle(destination):
        raise UsageError(
            f"{destination} holds files that are not a deployopt bundle, and they are left as they "
            "are. Name a new or empty folder for the bundle."
        )


def publish_bundle(files: Mapping[str, Path], manifest: Manifest, destination: Path) -> None:
    """Publish copies of `files`, by path in the bundle, with their manifest at `destination`.

    The same bundle already there, whole, stays with the verifications that were added to it.

    Raises:
        IntegrityError: a source has other bytes than the manifest says.
        UsageError: something else than a bundle is at the destination.
        StorageError: the disk failed; the destination is as it was.
    """
    _check_listing(files, manifest)
    destination = destination.absolute()
    with storage_errors("publishing the bundle", destination):
        check_destination(destination)
        sweep(destination.parent)
        if _is_there(manifest, destination):
            return
        total = sum(entry.size_bytes for entry in manifest.files)
        require_space(destination.parent, total, "The bundle")
        make_folders(destination.parent)
        with staged_folder(destination.parent) as staging:
            bundle = staging / destination.name
            _write_bundle(files, manifest, bundle)
            check_destination(destination)
            _put_in_place(bundle, destination)


def add_verification(bundle: Path, name: str, data: bytes) -> Path:
    """Write what a device found as `verifications/NAME`; what was built stays as it is."""
    if path_problem(name) is not None or "/" in name:
        raise ValueError(f"not a file name for a verification: {name!r}")
    path = bundle / VERIFICATIONS / name
    atomic_write_bytes(path, data)
    return path


def _check_listing(files: Mapping[str, Path], manifest: Manifest) -> None:
    listed = [entry.path for entry in manifest.files]
    problems = path_problems(listed)
    problems += [f"{name!r} is given or listed only" for name in files.keys() ^ set(listed)]
    if problems:
        raise ValueError(f"not a bundle's list of files: {'; '.join(sorted(problems))}")


def _is_there(manifest: Manifest, destination: Path) -> bool:
    if not is_bundle(destination):
        return False
    try:
        return verify_bundle(destination) == manifest
    except IntegrityError:
        return False


def _write_bundle(files: Mapping[str, Path], manifest: Manifest, bundle: Path) -> None:
    folders = {bundle}
    for entry in manifest.files:
        folders.update((bundle / entry.path).parents[: entry.path.count("/")])
    for folder in sorted(folders):
        folder.mkdir(mode=0o755)
    for entry in manifest.files:
        _copy_listed(files[entry.path], entry, bundle)
    for folder in sorted(folders - {bundle}, reverse=True):
        sync_folder(folder)
    data, seal = encode_manifest(manifest)
    write_new_file(bundle / SEAL, seal)
    write_new_file(bundle / MANIFEST, data)
    sync_folder(bundle)


def _copy_listed(source: Path, entry: FileEntry, bundle: Path) -> None:
    if copy_new_file(source, bundle / entry.path) != (entry.size_bytes, entry.sha256):
        raise IntegrityError(
            f"{source} changed after the manifest was made: its bytes are not those listed for "
            f"{entry.path}. Nothing was published; build again."
        )


def _put_in_place(bundle: Path, destination: Path) -> None:
    previous = destination.with_name(f"{destination.name}.previous-{unique_name()}")
    if not is_bundle(destination):
        bundle.rename(destination)  # over nothing or an empty folder; anything else makes it fail
        moved = [(destination, bundle)]
    elif exchange(bundle, destination):
        moved = []
    else:
        destination.rename(previous)
        bundle.rename(destination)
        moved = [(destination, bundle), (previous, destination)]
    try:
        sync_folder(destination.parent)
    except OSError:
        _put_back(bundle, destination, moved)
        raise
    # From here on it is published: the older one goes with the staging folder, now or at the next
    # sweep, and a disk that fails at that takes nothing back.
    with suppress(OSError):
        if previous.exists():
            previous.rename(bundle)


def _put_back(bundle: Path, destination: Path, moved: list[tuple[Path, Path]]) -> None:
    """As it was: what is not certain to be on the disk was not published."""
    with suppress(OSError):  # the disk's first error is the one to tell
        if not moved:
            exchange(bundle, destination)
        for there, back in moved:
            there.rename(back)
