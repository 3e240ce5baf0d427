"""What users import: every name is there, and stays what it is whatever was imported before."""

import os
import subprocess
import sys
from pathlib import Path

import deployopt


def test_every_name_is_there() -> None:
    for name in deployopt.__all__:
        assert getattr(deployopt, name) is not None


def test_no_room_takes_the_name_of_a_call() -> None:
    """Importing a sub-package sets its name on the package: `deployopt.report` was one."""
    code = (
        "import pkgutil, importlib, deployopt\n"
        "for room in pkgutil.iter_modules(deployopt.__path__):\n"
        "    if room.name != '__main__': importlib.import_module('deployopt.' + room.name)\n"
        "wrong = [n for n in deployopt.__all__ if not callable(getattr(deployopt, n))]\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_onnxruntime_tells_its_makers_nothing(tmp_path: Path) -> None:
    """Newer ones begin with that as they are imported, and keep a number in the home folder."""
    code = (
        "import os, deployopt, onnxruntime, onnxruntime_genai\n"
        "print(len(os.listdir('/proc/self/task')))\n"
    )
    unset = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=unset | {"HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert not list(tmp_path.iterdir())
    assert done.stdout.split() == ["1"]
