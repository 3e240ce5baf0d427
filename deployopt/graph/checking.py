"""A foreign graph goes through `onnx.checker` in a child process, because a bad one may crash it.

A path goes in; RefusedInputError where the checker says no, dies, or takes too long.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from deployopt.graph.limits import refuse

DEADLINE_S: Final = 120.0
_CHILD: Final = Path(__file__).with_name("checking_child.py")
_MALFORMED: Final = 3


def check_in_child(path: Path, deadline_s: float = DEADLINE_S) -> None:
    """Raise RefusedInputError unless the checker accepts the file within the deadline."""
    command = [sys.executable, "-P", "-W", "ignore", str(_CHILD), str(path)]
    try:
        child = subprocess.run(  # noqa: S603 the command is our own script
            command, capture_output=True, timeout=deadline_s, check=False
        )
    except subprocess.TimeoutExpired:
        refuse(path, f"checking its graph took more than {deadline_s:.0f} s")
    if child.returncode == _MALFORMED:
        said = " ".join(child.stdout.decode("utf-8", "replace").split())
        refuse(path, f"its graph is malformed ({said[:300]})")
    if child.returncode != 0:
        refuse(path, f"its graph crashed the checker (exit {child.returncode})")
