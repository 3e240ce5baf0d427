"""What is in a folder, without following or opening anything."""

import os
import stat
from pathlib import Path

import msgspec


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A folder's files with their sizes, its sub-folders, and what should not be in it."""

    sizes_bytes: dict[str, int]
    """By relative path, sorted."""
    folders: tuple[str, ...]
    executable: tuple[str, ...]
    problems: tuple[str, ...]
    """Links, devices, pipes, sockets, second names of a file: one sentence each."""


def list_folder(folder: Path) -> Listing:
    """Walk `folder`; links are never followed."""
    sizes: dict[str, int] = {}
    folders: list[str] = []
    executable: list[str] = []
    problems: list[str] = []
    pending = [(folder, "")]
    while pending:
        here, prefix = pending.pop()
        with os.scandir(here) as children:
            for child in children:
                name = prefix + child.name
                status = child.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(name)
                    pending.append((here / child.name, f"{name}/"))
                    continue
                problem = _problem(status)
                if problem:
                    problems.append(f"{name!r} {problem}")
                else:
                    sizes[name] = status.st_size
                    if status.st_mode & 0o111:
                        executable.append(name)
    return Listing(
        sizes_bytes=dict(sorted(sizes.items())),
        folders=tuple(sorted(folders)),
        executable=tuple(sorted(executable)),
        problems=tuple(sorted(problems)),
    )


def _problem(status: os.stat_result) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_nlink != 1:
        return "has a second name (a hard link)"
    return None
