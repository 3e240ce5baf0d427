"""Wheels for a device without a network: fetched here, for its architecture, Python and C library.

In: requirements and what the device is. Out: files in a folder. pip does the choosing and the
fetching; only ready-made wheels are taken, so that nothing runs here.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployopt.core.errors import UnreachableError
from deployopt.core.text import safe_text
from deployopt.remote.facts import Facts

_PIP_S: Final = 1800.0
_OLDEST: Final = {
    "x86_64": (5, ("manylinux2014", "manylinux2010", "manylinux1")),
    "aarch64": (17, ("manylinux2014",)),
}
"""By architecture: the oldest minor version of glibc that wheels name, and their older names."""
_QUIETLY: Final = ("--quiet", "--no-input", "--disable-pip-version-check")
_TAIL: Final = 3


def platforms(facts: Facts) -> tuple[str, ...]:
    """The tags of wheels that run there, as pip wants them named."""
    arch, (major, minor) = facts.cpu_arch, facts.glibc
    oldest, names = _OLDEST[arch]
    tags = [f"manylinux_{major}_{number}_{arch}" for number in range(minor, oldest - 1, -1)]
    return (*tags, *(f"{name}_{arch}" for name in names))


def fetch_wheels(where: str, requirements: Sequence[str], facts: Facts, folder: Path) -> list[Path]:
    """Download one wheel a requirement into `folder`.

    Raises:
        UnreachableError: there is no pip here, no network, or no such wheel.
    """
    python = ".".join(facts.python.split(".")[:2])
    abi = f"cp{python.replace('.', '')}"
    words = ["--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    words += ["--python-version", python, "--abi", abi, "--abi", "abi3", "--abi", "none"]
    for platform in platforms(facts):
        words += ["--platform", platform]
    _download(where, [*words, *requirements], folder)
    return sorted(folder.glob("*.whl"))


def pip_wheel(where: str, folder: Path) -> Path:
    """The wheel of pip itself: the one that came with this Python, else downloaded.

    Raises:
        UnreachableError: there is neither.
    """
    # Some systems leave the module out of their Python, or the wheels out of the module.
    found = importlib.util.find_spec("ensurepip")
    if found is not None and found.origin is not None:
        bundled = sorted((Path(found.origin).parent / "_bundled").glob("pip-*.whl"))
        if bundled:
            return bundled[-1]
    _download(where, ["--no-deps", "--only-binary=:all:", "pip"], folder)
    return next(folder.glob("pip-*.whl"))


def _download(where: str, words: Sequence[str], folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", *_QUIETLY, "--dest", str(folder), *words]
    try:
        done = subprocess.run(  # noqa: S603 -- an argument list of ours
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PIP_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"pip could not be run here to fetch wheels: {error}.") from error
    if done.returncode:
        lines = [safe_text(line, 200) for line in done.stderr.strip().splitlines()][-_TAIL:]
        raise UnreachableError(
            f"{where} cannot install packages from a network, and this machine could not fetch "
            f"them for it: {' | '.join(lines)}. Give one of them a network or a package index (pip "
            "config), or install the packages there by hand and name that Python in "
            "DEPLOYOPT_DEVICE_PYTHON."
        )
