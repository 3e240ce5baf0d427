"""A project's own defaults: `[tool.deployopt]` in pyproject.toml, or deployopt.toml.

A flag beats the project file, which beats the target file, which beats the default.
"""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from deployopt.core.budget import Budget, parse_budget
from deployopt.core.codec import decode_toml
from deployopt.core.errors import UsageError
from deployopt.core.search import Effort

T = TypeVar("T")
OWN_FILE: Final = "deployopt.toml"
PYPROJECT: Final = "pyproject.toml"


class Project(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project may set; every key is optional."""

    target: str | None = None
    model: str | None = None
    data: str | None = None
    output: str | None = None
    train_data: str | None = None
    effort: Effort | None = None
    time_limit: str | None = None
    """As on the command line, e.g. `40m`."""
    budgets: dict[str, str] = {}

    @property
    def limits(self) -> tuple[Budget, ...]:
        """The budgets, read; raises UsageError on an unknown metric or a wrong unit."""
        return tuple(parse_budget(k, v) for k, v in sorted(self.budgets.items()))


class _Tools(msgspec.Struct, frozen=True):
    deployopt: Project = Project()


class _Pyproject(msgspec.Struct, frozen=True):
    """Other tools' tables are theirs, so unknown keys are no error here."""

    tool: _Tools = _Tools()


def read_project(folder: Path) -> Project:
    """The project file in `folder`; an empty one where there is none.

    Raises:
        UsageError: it is wrong, with the file and the key path; or both files say something.
    """
    own, shared = folder / OWN_FILE, folder / PYPROJECT
    in_shared = _read(shared, _Pyproject).tool.deployopt if shared.is_file() else Project()
    if not own.is_file():
        return in_shared
    if in_shared != Project():
        raise UsageError(
            f"Both {own} and [tool.deployopt] in {shared} have settings. Keep them in one of them."
        )
    return _read(own, Project)


def _read(path: Path, kind: type[T]) -> T:
    return decode_toml(path.read_bytes(), kind, where=str(path))
