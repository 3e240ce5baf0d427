"""Target profiles: shipped ones by name, anyone's own by path.

In: a name or a path. Out: a `Target`, or the names of those that are shipped. Refuses, with the
file, the key path and the nearest right word, what is not a strict and consistent profile.
"""

import functools
from pathlib import Path
from typing import Final

from deployopt.core.budget import parse_budget
from deployopt.core.codec import decode_toml
from deployopt.core.errors import UsageError
from deployopt.core.explain import nearest_word
from deployopt.core.target import Target
from deployopt.core.text import safe_text
from deployopt.planning.toml_files import toml_bytes

SUFFIX: Final = ".toml"
_SHOWN_NAME: Final = 80
_LISTED: Final = "`deployopt targets` lists the shipped ones."


def load_target(name_or_path: str) -> Target:
    """The shipped profile of this name, or the one at this path.

    A path holds a `/` or ends in `.toml`.

    Raises:
        UsageError: no such target or file, or something in the file is wrong.
    """
    path = target_path(name_or_path)
    return read_target(path) if _is_path(name_or_path) else _shipped(path)


@functools.cache
def _shipped(path: Path) -> Target:
    """A shipped profile, read once a process."""
    target = read_target(path)
    if target.name != path.stem:
        raise UsageError(
            f"{path.name}: name: the file says {target.name!r}; a shipped profile is named as its "
            "file is."
        )
    return target


def target_path(name_or_path: str) -> Path:
    """The file of a target; a path is given back as it is, whether it exists or not.

    Raises:
        UsageError: no shipped profile has this name.
    """
    if _is_path(name_or_path):
        return Path(name_or_path)
    names = target_names()
    if name_or_path not in names:
        close = nearest_word(name_or_path, names)
        hint = f" Did you mean {close!r}?" if close else ""
        raise UsageError(
            f"There is no target {safe_text(name_or_path, _SHOWN_NAME)!r}.{hint} "
            "`deployopt targets` lists them; a path to a TOML file works as well."
        )
    return targets_folder() / f"{name_or_path}{SUFFIX}"


def read_target(path: Path) -> Target:
    """The profile in this file; raises UsageError."""
    where = safe_text(str(path))
    target = decode_toml(toml_bytes(path, "target file", _LISTED), Target, where=where)
    for metric, text in target.budgets.items():
        try:
            parse_budget(metric, text)
        except UsageError as error:
            key = safe_text(metric, _SHOWN_NAME)
            raise UsageError(safe_text(f"{where}: budgets.{key}: {error}")) from error
    return target


def target_names() -> tuple[str, ...]:
    """The names of the shipped profiles, sorted."""
    return tuple(sorted(path.stem for path in targets_folder().glob(f"*{SUFFIX}")))


def targets_folder() -> Path:
    """Inside the package as it is installed; beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "targets"
    return inside if inside.is_dir() else package.parent / "targets"


def _is_path(name_or_path: str) -> bool:
    return "/" in name_or_path or name_or_path.endswith(SUFFIX)
