"""What users import: every name is there, and stays what it is whatever was imported before."""

import subprocess
import sys

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
