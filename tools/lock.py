"""Write requirements/: all that development installs, and what builds a release, by sha256.

python -m tools.lock          resolves anew; needs `uv` on the path
python -m tools.lock --check  writes nothing; exit 1 and a list where a lock no longer fits

onnxruntime-gpu is left out: it is for a device with a card, where it takes onnxruntime's place.
Torch is left out: which build fits depends on the machine, and the CPU one that a machine offers
has another digest than the ordinary one. It is installed first, within the bounds of
pyproject.toml; the rest then follows by digest alone:

    pip install "torch>=2.10,<2.14"
    pip install --no-deps --require-hashes -r requirements/dev.txt
    pip install --no-deps --no-build-isolation -e . && pip check
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements" / "dev.txt"
BUILD: Final = ROOT / "requirements" / "build.txt"
UNLOCKED: Final = frozenset({"onnxruntime-gpu", "torch"})
"""The first is for the machine with a card, in the place of onnxruntime, whose module it owns."""
LEFT_OUT: Final = "".join(f"{name} ; sys_platform == 'never'\n" for name in sorted(UNLOCKED))
HEAD: Final = """\
# Written by: python -m tools.lock
# Python 3.11 to 3.13 on Linux; tools/lock.py says how this file is installed, and why torch is not
# in it.

"""
EVERYWHERE: Final = " ; python_full_version < '3.14' and sys_platform == 'linux' "
_PINNED: Final = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_NAME: Final = re.compile(r"^[A-Za-z0-9._-]+")


def main(arguments: list[str]) -> int:
    """Resolve and write, or only check."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    if not arguments:
        _write()
    problems = [*unlocked(LOCK.read_text("utf-8")), *bare(BUILD.read_text("utf-8"))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _write() -> None:
    with NamedTemporaryFile("w", suffix=".txt") as overrides:
        overrides.write(LEFT_OUT)
        overrides.flush()
        _compile(LOCK, "--all-extras", "--override", overrides.name, "pyproject.toml")
    with NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write(direct()["hatchling"])
        wanted.flush()
        _compile(BUILD, wanted.name)


def _compile(lock: Path, *words: str) -> None:
    subprocess.run(
        [
            *("uv", "pip", "compile", *words, "--python-version", "3.11", "--universal"),
            *("--generate-hashes", "--upgrade", "--no-annotate", "--no-header"),
            *("--no-emit-index-url", "--quiet", "--output-file", lock),
        ],
        cwd=ROOT,
        check=True,
    )
    # What holds of every line says nothing of one.
    lock.write_text(HEAD + lock.read_text("utf-8").replace(EVERYWHERE, " "), "utf-8")


def direct() -> dict[str, str]:
    """Every requirement of pyproject.toml that development installs, by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    return {_name(line): line for line in (*project["dependencies"], *extras)}


def pinned(lock: str) -> dict[str, list[str]]:
    """The versions of each package in a lock; more than one where Pythons need different ones."""
    found: dict[str, list[str]] = {}
    for match in _PINNED.finditer(lock):
        found.setdefault(match["name"], []).append(match["version"])
    return found


def unlocked(lock: str) -> Iterator[str]:
    """What is wrong with the lock of development, a sentence each."""
    versions = pinned(lock)
    for name in sorted(direct().keys() - versions.keys() - UNLOCKED):
        yield f"{name} is not in the lock: run python -m tools.lock"
    for name in sorted(versions.keys() & UNLOCKED):
        yield f"{name} must not be in the lock"
    yield from bare(lock)


def bare(lock: str) -> Iterator[str]:
    """What a lock names without a digest, a sentence each."""
    for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE):
        match = _PINNED.match(block)
        if match and "--hash=sha256:" not in block:
            yield f"{match['name']} has no digest"


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    if match is None:
        raise ValueError(f"no package is named in {requirement!r}")
    return match[0].lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
