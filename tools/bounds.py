"""Try the small install, or an extra, at either end of its dependencies' bounds.

    python -m tools.bounds --lowest [--extra build] [--python PYTHON]    each at its lower bound
    python -m tools.bounds --highest [--extra build] [--python PYTHON]   each as new as may be

An environment of its own (`.venv-lowest`, `.venv-highest`, with the extra's name behind) gets that
install and what the tests import, and runs the tests of the rooms that need it and nothing else.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from typing import Final, NamedTuple

from tools.check import ROOT, TESTING, install

CHAT: Final = ("device/generating", "device/chatting", "device/test_bundle_measuring.py")
ROOMS: Final = {
    "": ("core", "device", "store"),
    "build": ("graph", "modeling", "steps"),
    "chat": CHAT,
    "openvino": ("device/test_openvino_session.py",),
    "serve": ("device/endpoint",),
    "sign": ("signing",),
    "tensorrt-rtx": ("engines",),
}
"""By the extra; with none the small install."""
_LEFT_OUT: Final = ("slow", "arm", "gpu", "network", "long")
_OWN: Final = {"build": "torch", "openvino": "openvino"}
"""Tests that need an extra are marked so."""
_RUNTIME: Final = "onnxruntime-genai"
"""Of what the tests import, the one that raises the lowest onnxruntime: the extra `chat` has it."""
_REQUIREMENT: Final = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)>=(?P<low>[0-9][0-9.]*),<(?P<high>[0-9][0-9.]*)"
    r"(?P<marker>\s*;.*)?$"
)


class Bounds(NamedTuple):
    """One requirement; `marker` with its semicolon, or empty."""

    name: str
    low: str
    high: str
    marker: str = ""


def main(arguments: list[str]) -> int:
    """Make the environment, then run the tests in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    end = parser.add_mutually_exclusive_group(required=True)
    end.add_argument("--lowest", action="store_true")
    end.add_argument("--highest", action="store_true")
    parser.add_argument("--extra", choices=sorted(ROOMS), default="", help="This one too.")
    parser.add_argument("--python", default=sys.executable, help="The interpreter to try it with.")
    asked = parser.parse_args(arguments)
    name = ".venv-lowest" if asked.lowest else ".venv-highest"
    folder = ROOT / (f"{name}-{asked.extra}" if asked.extra else name)
    python = folder / "bin" / "python"
    pins = [f"{b.name}=={b.low}{b.marker}" for b in bounds_of_extra(asked.extra) if asked.lowest]
    itself = f".[{asked.extra}]" if asked.extra else "."
    testing = [one for one in TESTING if not one.startswith(_RUNTIME) or asked.extra == "chat"]
    marks = [*_LEFT_OUT, *(mark for extra, mark in _OWN.items() if extra != asked.extra)]
    rooms = [f"tests/unit/{room}" for room in ROOMS[asked.extra]]
    rooms += [] if asked.extra else [f"--ignore=tests/unit/{room}" for room in CHAT]
    for command in (
        [asked.python, "-m", "venv", "--clear", folder],
        [*install(python), "--upgrade", "-e", itself, *testing, *pins],
        [python, "-m", "pip", "check"],
        [python, "-m", "pip", "list", "--format=freeze"],
        [python, "-m", "pytest", "-q", "-m", " and ".join(f"not {mark}" for mark in marks), *rooms],
    ):
        code = subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode
        if code:
            return code
    return 0


def bounds_of_extra(extra: str) -> list[Bounds]:
    """Of every dependency of an extra, whose own may ask for more than the small install does."""
    if not extra:
        return small_bounds()
    return [bounds_of(line) for line in _project()["optional-dependencies"][extra]]


def small_bounds() -> list[Bounds]:
    """Of every dependency of the small install."""
    return [bounds_of(line) for line in _project()["dependencies"]]


def all_bounds() -> list[Bounds]:
    """Of every dependency of every extra too."""
    extras = _project()["optional-dependencies"].values()
    return [*small_bounds(), *(bounds_of(line) for extra in extras for line in extra)]


def bounds_of(requirement: str) -> Bounds:
    """Both ends of `name>=1.2,<3`.

    Raises:
        ValueError: an end is missing.
    """
    match = _REQUIREMENT.match(requirement)
    if match is None:
        raise ValueError(f"{requirement!r} has not the form name>=1.2,<3")
    return Bounds(match["name"], match["low"], match["high"], (match["marker"] or "").strip())


def _project() -> dict[str, dict[str, list[str]]]:
    project: dict[str, dict[str, list[str]]] = tomllib.loads(
        (ROOT / "pyproject.toml").read_text("utf-8")
    )["project"]
    return project


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
