"""Folders with short paths: sockets are made in them, whose names the kernel cuts at 107 bytes.

Made in the folder of temporary files, held while in use, and gone afterwards; what a killed call
left is removed by the next one.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from deployopt.store.faults import storage_errors
from deployopt.store.locks import hold
from deployopt.store.staging import remove_abandoned, remove_tree, scratch_folder

_NAME: Final = re.compile(r"do-[0-9a-f]{8}")
_LONG: Final = 24
"""Of a path of temporary files that leaves too little for what is made behind it."""


@contextmanager
def short_folder() -> Iterator[Path]:
    """Yield a new empty folder that only this user can enter; remove it on every way out.

    Raises:
        StorageError: it cannot be made.
    """
    parent = scratch_folder()
    if len(str(parent)) > _LONG:
        parent = Path("/tmp")  # noqa: S108 -- its name is random, and nobody else may enter it
    _sweep(parent)
    with storage_errors("making a folder", parent):
        path, descriptor = _create_held(parent)
    try:
        yield path
    finally:
        try:
            with suppress(OSError):
                remove_tree(path)
        finally:
            os.close(descriptor)


def _create_held(parent: Path) -> tuple[Path, int]:
    while True:
        path = parent / f"do-{secrets.token_hex(4)}"
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            descriptor = hold(path)
            if descriptor is not None:
                return path, descriptor


def _sweep(parent: Path) -> None:
    """Those of ours that nobody holds."""
    with suppress(OSError):
        for path in parent.iterdir():
            if _NAME.fullmatch(path.name) and path.lstat().st_uid == os.getuid():
                with suppress(OSError):
                    remove_abandoned(path)
