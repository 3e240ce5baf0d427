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
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FULL = ROOT / ".venv"
SMALL = ROOT / ".venv-small"
EXTRAS = "build,calibrate,chat,detection,dev,diffusion,openvino,ray,serve,share,sign,tensorrt-rtx"
OTHERS = ("3.12", "3.13")
TESTING = (
    *("hypothesis", "jsonschema", "onnx", "pillow", "pyarrow", "jinja2", "optuna", "pytest>=9"),
    *("pytest-benchmark", "pytest-timeout", "scipy", "safetensors", "huggingface-hub"),
    *("starlette>=0.47.2,<2", "uvicorn>=0.35,<1"),
    *("model-signing", "pyopenssl", "cyclonedx-python-lib", "onnxruntime-genai>=0.18,<0.19"),
)
"""What the tests that need no torch import."""
PROGRAMS = ("ssh", "sshd", "qemu-aarch64", "mmdebstrap", "gcc")
SYSTEM = ("openssh-client", "openssh-server", "qemu-user", "mmdebstrap", "gcc", "libc6-dev")
"""Debian's packages with these programs: for the tests of ssh, and of ARM code."""
WORKERS = max(1, min(os.cpu_count() or 1, 4))
"""Processes that test beside each other; each may hold torch and a model, some 2 GB."""
PRINTING = threading.Lock()

Part = tuple[str, Sequence[str | Path]]


def main() -> int:
    """Run the parts and print how long each took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="what CI runs")
    if parser.parse_args().all:
        return everything()
    python = Path(sys.executable)
    return in_order([*style(python), types(python), tests(python, "tests")])


def everything() -> int:
    """The same in a fresh environment, and all that needs one: torch, examples, small install."""
    python = FULL / "bin" / "python"
    found = [(version, interpreter(version)) for version in OTHERS]
    others = [(version, path) for version, path in found if path is not None]
    for version in [version for version, path in found if path is None]:
        sys.stdout.write(f"-- Python {version} is not here: its tests are left out\n")
    # Each of the processes that tests start would compile all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ |= {"DEPLOYOPT_SMALL_PYTHON": str(SMALL / "bin" / "python"), "CI": "true"}
    torch = "(torch or slow or openvino or arm) and not gpu and not network"
    return (
        beside(full_environment(), [*small_environment(), *environments(others)], system_packages())
        or in_order(style(python))
        or beside([types(python)], *([tests_of(version)] for version, _ in others))
        or in_order([tests(python, "tests"), tests(python, "slow tests", "-m", torch)])
    )


def system_packages() -> list[Part]:
    """What the system lacks; without root's rights only said, as its tests are then left out."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if not missing:
        return []
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say(f"-- {', '.join(missing)} not here (apt install {' '.join(SYSTEM)}): tests left out\n")
        return []
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    return [
        ("package lists", ["apt-get", "update", "-q"]),
        ("packages", ["apt-get", "install", "-q", "-y", "--no-install-recommends", *SYSTEM]),
    ]


def style(python: Path) -> list[Part]:
    """Format, lint, import contracts, generated pages."""
    tools = python.parent
    return [
        ("format", [tools / "ruff", "format", "--check", "."]),
        ("lint", [tools / "ruff", "check", "."]),
        ("imports", [tools / "lint-imports", "--no-cache"]),
        ("generated pages", [python, "tools/generate_docs.py", "--check"]),
    ]


def types(python: Path) -> Part:
    """All of it, strictly."""
    return "types", [python, "-m", "mypy"]


def tests(python: Path, name: str, *more: str) -> Part:
    """The plain tests, or others that `more` selects, in the order of their files.

    A class's tests stay in one process, and so do those of a file that stand in no class.
    """
    spread = ["-n", str(WORKERS), "--dist", "loadscope", "--no-loadscope-reorder"]
    return name, [python, "-m", "pytest", "-q", *spread, *more]


def tests_of(version: str) -> Part:
    """The tests that need no torch, on another Python."""
    return f"tests {version}", [other(version), "-m", "pytest", "-q", "tests/unit"]


def full_environment() -> list[Part]:
    """Everything, in the Python that runs this; most of torch is never imported nor compiled."""
    python = FULL / "bin" / "python"
    return [
        ("environment", [sys.executable, "-m", "venv", FULL]),
        (f"install [{EXTRAS}]", [*install(python), "--no-compile", "-e", f".[{EXTRAS}]"]),
        ("pip check", [python, "-m", "pip", "check"]),
    ]


def small_environment() -> list[Part]:
    """What a device has."""
    return [
        ("small environment", [sys.executable, "-m", "venv", SMALL]),
        ("small install", [*install(SMALL / "bin" / "python"), "."]),
    ]


def environments(others: Sequence[tuple[str, str]]) -> list[Part]:
    """One a Python, without torch."""
    parts: list[Part] = []
    for version, found in others:
        parts += [
            (f"environment {version}", [found, "-m", "venv", other(version).parent.parent]),
            (
                f"install {version}",
                [*install(other(version)), "--no-compile", "-e", ".", *TESTING],
            ),
        ]
    return parts


def install(python: Path) -> list[str | Path]:
    """Pip's words."""
    return [python, "-m", "pip", "install", "-q"]


def other(version: str) -> Path:
    """The Python of this version's own environment."""
    return ROOT / f".venv-{version}" / "bin" / "python"


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


def in_order(parts: Sequence[Part]) -> int:
    """Run the parts in order; the exit code of the first that fails, else 0."""
    for name, command in parts:
        started = time.monotonic()
        say(f"== {name}\n")
        code = subprocess.run(words(command), cwd=ROOT, check=False).returncode
        say(ended(name, code, started))
        if code:
            return code
    return 0


def beside(*lanes: Sequence[Part]) -> int:
    """Run lanes of parts beside each other, each lane in order; the exit code of one that fails.

    What a part wrote is shown when it ends. After a failure no lane begins another part.
    """
    failed = threading.Event()

    def run(lane: Sequence[Part]) -> int:
        for name, command in lane:
            if failed.is_set():
                return 0
            started = time.monotonic()
            done = subprocess.run(
                words(command), cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
            say(f"== {name}\n{done.stdout}{ended(name, done.returncode, started)}")
            if done.returncode:
                failed.set()
                return done.returncode
        return 0

    with ThreadPoolExecutor(len(lanes)) as pool:
        return next((code for code in pool.map(run, lanes) if code), 0)


def words(command: Sequence[str | Path]) -> list[str]:
    """As the system takes them."""
    return [str(word) for word in command]


def ended(name: str, code: int, started: float) -> str:
    """How a part ended, and how long it took."""
    word = "ok" if code == 0 else f"FAILED ({code})"
    return f"== {name}: {word}, {time.monotonic() - started:.0f} s\n"


def say(text: str) -> None:
    """Print at once, whole."""
    with PRINTING:
        sys.stdout.write(text)
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
