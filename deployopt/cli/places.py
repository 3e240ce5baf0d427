"""Where a project's file names each budget, so that a CI service shows a miss beside the line.

In: the folder that a command was started in. Out: metric to path and line; empty where there is no
project file, or none that can be read.
"""

import os
import re
from pathlib import Path
from typing import Final

from deployopt.core.metric import METRICS
from deployopt.core.project import OWN_FILE, PYPROJECT
from deployopt.reports.github import Place

_ROOTS: Final = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
_KEY: Final = re.compile(r"\s*[\"']?([a-z0-9_]+)[\"']?\s*=")
_LARGEST: Final = 2**20


def budget_places(folder: Path) -> dict[str, Place]:
    """The first line of a project file that sets a metric, its path as the repository has it."""
    for name in (OWN_FILE, PYPROJECT):
        path = folder / name
        found = {m: Place(path=_in_repository(path), line=n) for m, n in _lines(path).items()}
        if found:
            return found
    return {}


def _lines(path: Path) -> dict[str, int]:
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _KEY.match(line)
        if match is not None and match[1] in METRICS:
            found.setdefault(match[1], number)
    return found


def _in_repository(path: Path) -> str:
    path = path.resolve()
    for root in (os.environ.get(name) for name in _ROOTS):
        if root and path.is_relative_to(Path(root).resolve()):
            return path.relative_to(Path(root).resolve()).as_posix()
    return path.name
