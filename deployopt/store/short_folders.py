"""Folders with short paths: sockets are made in them, whose names the kernel cuts at 107 bytes.

Made in the folder of temporary files, held while in use, and gone afterwards; what a killed call
left is removed by the next one.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from deployopt.store.faults import storage_errors
from deployopt.store.staging import held_folder, remove_abandoned, scratch_folder

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
    with ExitStack() as stack:
        with storage_errors("making a folder", parent):
            path = stack.enter_context(
                held_folder(parent, lambda: f"do-{secrets.token_hex(4)}", 0o700)
            )
        yield path


def _sweep(parent: Path) -> None:
    """Those of ours that nobody holds."""
    with suppress(OSError):
        for path in parent.iterdir():
            if _NAME.fullmatch(path.name) and path.lstat().st_uid == os.getuid():
                with suppress(OSError):
                    remove_abandoned(path)
