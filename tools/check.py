"""One command for everything: format, lint, types, import contracts, tests.

    python3 tools/check.py          # the quick part, in the environment that runs it
    python3 tools/check.py --all    # what CI runs; makes its own virtual environments

Needs only Python's standard library. Stops at the first part that fails, with its exit code.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FULL = ROOT / ".venv"
SMALL = ROOT / ".venv-small"
OTHERS = ("3.12", "3.13")


def main() -> int:
    """Run the parts and print how long each took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="what CI runs")
    if parser.parse_args().all:
        return everything()
    return quick(Path(sys.executable))


def quick(python: Path) -> int:
    """Format, lint, types, contracts, generated pages, the plain tests."""
    tools = python.parent
    return first_failure(
        [
            ("format", [tools / "ruff", "format", "--check", "."]),
            ("lint", [tools / "ruff", "check", "."]),
            ("types", [python, "-m", "mypy"]),
            ("imports", [tools / "lint-imports", "--no-cache"]),
            ("generated pages", [python, "tools/generate_docs.py", "--check"]),
            ("tests", [python, "-m", "pytest", "-q"]),
        ]
    )


def everything() -> int:
    """The same in a fresh environment, and all that needs one: torch, examples, small install."""
    python = FULL / "bin" / "python"
    small = SMALL / "bin" / "python"
    prepared = first_failure(
        [
            ("environment", [sys.executable, "-m", "venv", FULL]),
            ("install [build,dev]", [python, "-m", "pip", "install", "-q", "-e", ".[build,dev]"]),
            ("pip check", [python, "-m", "pip", "check"]),
            ("small environment", [sys.executable, "-m", "venv", SMALL]),
            ("small install", [small, "-m", "pip", "install", "-q", "."]),
        ]
    )
    if prepared:
        return prepared
    os.environ |= {"DEPLOYOPT_SMALL_PYTHON": str(small), "CI": "true"}
    selected = "(torch or slow) and not gpu and not network and not arm"
    return (
        quick(python)
        or first_failure([("tests with torch", [python, "-m", "pytest", "-q", "-m", selected])])
        or first_failure(list(other_pythons()))
    )


def other_pythons() -> list[tuple[str, list[str | Path]]]:
    """The tests that need no torch, on the other supported Pythons that this machine has."""
    parts: list[tuple[str, list[str | Path]]] = []
    for version in OTHERS:
        found = interpreter(version)
        if found is None:
            sys.stdout.write(f"-- Python {version} is not here: its tests are left out\n")
            continue
        folder = ROOT / f".venv-{version}"
        python = folder / "bin" / "python"
        packages = ["hypothesis", "jsonschema", "onnx", "pillow", "pyarrow", "jinja2", "pytest>=9"]
        packages += [
            "pytest-benchmark",
            "pytest-timeout",
            "scipy",
            "safetensors",
            "huggingface-hub",
        ]
        parts += [
            (f"environment {version}", [found, "-m", "venv", folder]),
            (f"install {version}", [python, "-m", "pip", "install", "-q", "-e", ".", *packages]),
            (f"tests {version}", [python, "-m", "pytest", "-q", "tests/unit"]),
        ]
    return parts


def interpreter(version: str) -> str | None:
    """A working interpreter of this version on the path, or one that pyenv keeps."""
    roots = [os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))]
    kept = [str(p) for r in roots for p in Path(r).glob(f"versions/{version}.*/bin/python")]
    for candidate in (shutil.which(f"python{version}"), *kept):
        if (
            candidate
            and subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode
            == 0
        ):
            return candidate
    return None


def first_failure(parts: list[tuple[str, list[str | Path]]]) -> int:
    """Run the parts in order; the exit code of the first that fails, else 0."""
    for name, command in parts:
        started = time.monotonic()
        sys.stdout.write(f"== {name}\n")
        sys.stdout.flush()
        code = subprocess.run([str(word) for word in command], cwd=ROOT, check=False).returncode
        word = "ok" if code == 0 else f"FAILED ({code})"
        sys.stdout.write(f"== {name}: {word}, {time.monotonic() - started:.0f} s\n")
        sys.stdout.flush()
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
