"""Which files of a bundle a signature covers: every one but itself and what devices add later.

In: a bundle that was verified. Out: names, and their sha256 as this process read them.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from deployopt.core.bundle import Manifest
from deployopt.core.errors import IntegrityError
from deployopt.store.paths import BILL, MANIFEST, RELEASE, SEAL, SIGNATURE, SIGNED

BESIDE: Final = (BILL, RELEASE)
"""What is signed with the bundle and lies beside the signature."""
SIGNATURE_PATH: Final = f"{SIGNATURE}/{SIGNED}"
RELEASE_PATH: Final = f"{SIGNATURE}/{RELEASE}"
SMALL_MAX: Final = 4 * 2**20
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def built_names(manifest: Manifest) -> list[str]:
    """All that was there before it was signed."""
    return sorted([*(entry.path for entry in manifest.files), MANIFEST, SEAL])


def covered_names(manifest: Manifest) -> list[str]:
    """All that the signature is of."""
    return sorted([*built_names(manifest), *(f"{SIGNATURE}/{name}" for name in BESIDE)])


def covered_digests(folder: Path, manifest: Manifest) -> dict[str, str]:
    """sha256 by path; of the manifest's files what it says, as they were compared with it."""
    listed = {entry.path: entry.sha256 for entry in manifest.files}
    others = [name for name in covered_names(manifest) if name not in listed]
    return listed | {name: _sha256(folder / name) for name in others}


def read_small(path: Path, most: int = SMALL_MAX) -> bytes:
    """A file whole.

    Raises:
        IntegrityError: it is no regular file of at most so many bytes.
    """
    try:
        descriptor = os.open(path, _READ)
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise IntegrityError(f"{path} is no regular file of at most {most} bytes.")
        return file.read(most)


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_small(path)).hexdigest()
