"""The few variables that a child process gets: where Python's packages are, and settings.

In: names of what may be passed on, and what is set. Out: the whole environment.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def bare_environment(passed: Sequence[str], settings: Mapping[str, str]) -> dict[str, str]:
    """Of ours `passed`, as far as they are set, and PYTHONPATH with absolute paths."""
    found = {name: os.environ[name] for name in passed if name in os.environ}
    # The child starts in another folder.
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if paths:
        found["PYTHONPATH"] = os.pathsep.join(str(Path(path).absolute()) for path in paths)
    return {**found, **settings}
