"""Folders that other programs make once and that are kept: whole, or not there at all.

In: a name that says everything the content depends on, and who fills it. Out: the folder. What a
killed run leaves is a staging folder, which the next run removes.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deployopt.store.faults import storage_errors
from deployopt.store.locks import hold, is_same
from deployopt.store.staging import staged_folder, sweep
from deployopt.store.writing import make_folders, sync_folder

_HELD: Final[dict[Path, int]] = {}


def kept_folder(home: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """`home/name`; where it is not there, `fill` makes the folder that it is given the path of.

    Raises:
        StorageError: the disk failed; `home/name` is then not there.
    """
    path = home / name
    with storage_errors("making", path):
        while not (path.is_dir() and _held(path)):
            make_folders(home)
            sweep(home)
            with staged_folder(home) as staging:
                made = staging / name
                fill(made)
                # Other programs wrote it, in thousands of files.
                os.sync()
                _put(made, path)
                sync_folder(home)
    return path


def _held(path: Path) -> bool:
    """Keep it from collection for as long as this process lives; whether it is still there."""
    known = _HELD.get(path)
    if known is not None and is_same(path, known):
        return True
    descriptor = hold(path)
    if descriptor is None:
        return False
    _HELD[path] = descriptor
    return True


def _put(made: Path, path: Path) -> None:
    try:
        made.rename(path)
    except OSError:
        # Another run has put the same there meanwhile.
        if not path.is_dir():
            raise
