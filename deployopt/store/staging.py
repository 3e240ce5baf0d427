"""Folders that nobody else can see as finished: made unique, held while in use, then gone."""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deployopt.store.locks import hold, seize

_PREFIX = ".deployopt-"
_SUFFIX = ".partial"
_NAME = re.compile(r"\.deployopt-[0-9]+-[0-9a-f]{16}\.partial")


def is_staging_name(name: str) -> bool:
    """Whether a folder of this name is one that `staged_folder` made."""
    return _NAME.fullmatch(name) is not None


def scratch_folder() -> Path:
    """Where temporary files go: never into a bundle."""
    for name in ("TMPDIR", "TMP", "TEMP"):
        if os.environ.get(name) and Path(os.environ[name]).is_dir():
            return Path(os.environ[name])
    return Path("/tmp")  # noqa: S108 -- a folder of a random name is made in it


@contextmanager
def staged_folder(parent: Path) -> Iterator[Path]:
    """Yield a new empty folder in `parent`; remove what is left of it on every way out."""
    with held_folder(parent, lambda: f"{_PREFIX}{unique_name()}{_SUFFIX}", 0o755) as path:
        yield path


@contextmanager
def held_folder(parent: Path, name: Callable[[], str], mode: int) -> Iterator[Path]:
    """The same under another name, which is asked for until one is free."""
    path, descriptor = _create_held(parent, name, mode)
    try:
        yield path
    finally:
        # What cannot be removed now, the next sweep removes; it must not hide the first error.
        try:
            with suppress(OSError):
                remove_tree(path)
        finally:
            os.close(descriptor)


def sweep(parent: Path) -> None:
    """Remove the staging folders in `parent` whose process is dead."""
    with suppress(FileNotFoundError):
        for path in sorted(parent.iterdir()):
            if is_staging_name(path.name):
                remove_abandoned(path)


def remove_abandoned(path: Path) -> bool:
    """Remove a file or folder unless a living process holds it; whether it was removed."""
    descriptor = seize(path)
    if descriptor is None:
        return False
    try:
        remove_tree(path)
    finally:
        os.close(descriptor)
    return True


def remove_tree(path: Path) -> None:
    """Remove a file, a link, or a folder with all it holds; nothing there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unique_name() -> str:
    """A name that no other process and no other call uses; the process id is for people only."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


def _create_held(parent: Path, name: Callable[[], str], mode: int) -> tuple[Path, int]:
    while True:
        path = parent / name()
        with suppress(FileExistsError):
            path.mkdir(mode=mode)
            # A collector may come between the two calls: then the folder is gone, another is made.
            descriptor = hold(path)
            if descriptor is not None:
                return path, descriptor
