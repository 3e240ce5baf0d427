"""Folders that other programs make once and that are kept: whole, or not there at all.

In: a name that says everything the content depends on, and who fills it. Out: the folder. What a
killed run leaves is a staging folder, which the next run removes.
"""

import os
from collections.abc import Callable
from pathlib import Path

from deployopt.store.faults import storage_errors
from deployopt.store.staging import staged_folder, sweep
from deployopt.store.writing import make_folders, sync_folder


def kept_folder(home: Path, name: str, fill: Callable[[Path], None]) -> Path:
    """`home/name`; where it is not there, `fill` makes the folder that it is given the path of.

    Raises:
        StorageError: the disk failed; `home/name` is then not there.
    """
    path = home / name
    with storage_errors("making", path):
        if path.is_dir():
            return path
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


def _put(made: Path, path: Path) -> None:
    try:
        made.rename(path)
    except OSError:
        # Another run has put the same there meanwhile.
        if not path.is_dir():
            raise
