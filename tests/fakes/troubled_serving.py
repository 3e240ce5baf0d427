"""The server on a device whose kernel tells of trouble: `python -m tests.fakes.troubled_serving …`.

`wrapper` is a Python for `DEPLOYOPT_DEVICE_PYTHON` that starts it where the session's `$TMPDIR` has
a file `trouble`: `heat`, `throttling`, `memory` or `disk`. What the kernel tells elsewhere is read
from files or asked of the system as on any device; only the answers differ.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import psutil
import pytest

from deployopt.device import conditions, serving
from tests.functional.conftest import ROOT

FILE: Final = "trouble"
_MIB: Final = 2**20
_ZONE: Final = "sys/class/thermal/thermal_zone0/temp"
_FLAGS: Final = "sys/devices/platform/soc/soc:firmware/get_throttled"
_WRAPPER: Final = """#!/bin/sh
if [ "$3" = deployopt.device.serving ] && [ -e "$TMPDIR/{file}" ]; then
  shift 3
  PYTHONPATH="$PYTHONPATH:{root}"
  export PYTHONPATH
  exec {python} -P -m tests.fakes.troubled_serving "$@"
fi
exec {python} "$@"
"""


def wrapper(path: Path) -> Path:
    """Written there."""
    path.write_text(_WRAPPER.format(file=FILE, root=ROOT, python=sys.executable))
    path.chmod(0o755)
    return path


def trouble(patch: pytest.MonkeyPatch, what: str, folder: Path) -> None:
    """Make this process see it; `folder` becomes the kernel's files."""
    if what in {"heat", "throttling"}:
        name, text = (_ZONE, "91000\n") if what == "heat" else (_FLAGS, "0x50005\n")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        patch.setattr(conditions.read_conditions, "__defaults__", (folder,))
    if what == "memory":
        patch.setattr(psutil, "virtual_memory", _less(psutil.virtual_memory, "available"))
    if what == "disk":
        patch.setattr(shutil, "disk_usage", _less(shutil.disk_usage, "free"))


def _less(real: Callable[..., tuple[int, ...]], name: str) -> Callable[..., SimpleNamespace]:
    def answer(*asked: object) -> SimpleNamespace:
        found = real(*asked)
        told = found._asdict() if hasattr(found, "_asdict") else {}
        return SimpleNamespace(**told | {name: 100 * _MIB})

    return answer


if __name__ == "__main__":
    own = Path(os.environ["TMPDIR"])
    with pytest.MonkeyPatch.context() as patched:
        trouble(patched, (own / FILE).read_text().strip(), own / "kernel")
        sys.exit(serving.main(sys.argv[1:]))
