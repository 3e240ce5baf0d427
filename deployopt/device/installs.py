"""What is installed here and what it enables, by the packages' metadata.

In: versions by package name, programs on the path. Out: findings. Only the runtime is imported, in
a process of its own, so that a broken package cannot break the doctor.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Final

import msgspec

from deployopt.core.card import TENSORRT_PACKAGE, TENSORRT_PACKAGES, tensorrt_version
from deployopt.core.diagnosis import Finding, State
from deployopt.core.quiet import OPENVINO_VERSIONS, RTX_PACKAGE, RTX_VERSIONS
from deployopt.core.text import safe_text
from deployopt.core.versions import matches

_RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")
_TRIED: Final = {"openvino": OPENVINO_VERSIONS, RTX_PACKAGE: RTX_VERSIONS}
_IMPORT_S: Final = 60
_TAIL: Final = 200


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """An optional install: `pip install 'deployopt[name]'`."""

    name: str
    packages: tuple[str, ...]
    enables: str


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program of the system that a command needs."""

    names: tuple[str, ...]
    package: str
    """Debian's."""
    enables: str


EXTRAS: Final = (
    Extra(
        name="build",
        packages=(
            "torch",
            "transformers",
            "onnx",
            "onnxscript",
            "optimum",
            "torch-pruning",
            "peft",
        ),
        enables="build, distill, finetune",
    ),
    Extra(name="openvino", packages=("openvino", "nncf"), enables="OpenVINO as a second runtime"),
    Extra(
        name="tensorrt-rtx",
        packages=(RTX_PACKAGE,),
        enables="engines for NVIDIA cards, built without one",
    ),
    Extra(name="chat", packages=("onnxruntime-genai",), enables="language models"),
    Extra(name="calibrate", packages=("olive-ai",), enables="calibrated int4 of language models"),
)
PROGRAMS: Final = (
    Program(names=("ssh",), package="openssh-client", enables="--device ssh://…"),
    Program(
        names=("qemu-aarch64", "mmdebstrap", "gcc"),
        package="qemu-user mmdebstrap gcc libc6-dev",
        enables="emulate",
    ),
)


def installed_versions(names: tuple[str, ...]) -> dict[str, str]:
    """The versions of those that are there."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def import_failure(package: str) -> str | None:
    """Why a package cannot be imported here, tried in a fresh process; None where it can."""
    try:
        done = subprocess.run(  # noqa: S603 -- this Python and a name of ours
            [sys.executable, "-c", f"import {package}"],
            capture_output=True,
            text=True,
            timeout=_IMPORT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"its import does not end within {_IMPORT_S} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        hint = ": it uses instructions that this processor lacks" if name == "SIGILL" else ""
        return f"its import is killed by {name}{hint}"
    lines = done.stderr.strip().splitlines()
    return safe_text(lines[-1] if lines else "its import fails", _TAIL)


def look_at_installs(
    versions: Callable[[tuple[str, ...]], Mapping[str, str]] = installed_versions,
    which: Callable[[str], str | None] = shutil.which,
    failure: Callable[[str], str | None] = import_failure,
) -> tuple[Finding, ...]:
    """The runtimes, the extras, the programs."""
    return (
        _runtime(versions(_RUNTIMES), failure),
        _tensorrt(tensorrt_version(versions(TENSORRT_PACKAGES)), failure),
        *(_extra(extra, versions(extra.packages)) for extra in EXTRAS),
        *(_program(program, which) for program in PROGRAMS),
    )


def _runtime(found: Mapping[str, str], failure: Callable[[str], str | None]) -> Finding:
    topic = "onnxruntime"
    if not found:
        return Finding(
            topic=topic,
            state=State.BROKEN,
            says="not installed; nothing can be measured or run",
            mend="pip install onnxruntime",
        )
    if len(found) > 1:
        both = " and ".join(f"{name} {version}" for name, version in found.items())
        return Finding(
            topic=topic,
            state=State.BROKEN,
            says=f"{both} are both installed and overwrite each other's files",
            mend=f"pip uninstall -y {' '.join(found)} && pip install {list(found)[-1]}",
        )
    name, version = next(iter(found.items()))
    broken = failure("onnxruntime")
    if broken is not None:
        return Finding(
            topic=topic,
            state=State.BROKEN,
            says=f"{name} {version} cannot be used: {broken}",
            mend=f"pip install '{name}!={version}'",
        )
    return Finding(topic=topic, state=State.GOOD, says=f"{name} {version}: verify, run")


def _tensorrt(version: str | None, failure: Callable[[str], str | None]) -> Finding:
    """Of no extra: where the package index has none of its libraries, they come from NVIDIA."""
    topic = TENSORRT_PACKAGE
    if version is None:
        return Finding(
            topic=topic,
            state=State.NOTE,
            says="not installed; a machine with a card needs it for bundles of --runtime tensorrt",
            mend="pip install tensorrt-cu13 (tensorrt-cu12 where the driver is for CUDA 12)",
        )
    broken = failure(TENSORRT_PACKAGE)
    if broken is not None:
        return Finding(
            topic=topic,
            state=State.WARNING,
            says=f"TensorRT {version} cannot be used: {broken}",
            mend="pip install --force-reinstall tensorrt-cu13",
        )
    return Finding(topic=topic, state=State.GOOD, says=f"TensorRT {version}: plans, on a card")


def _extra(extra: Extra, found: Mapping[str, str]) -> Finding:
    missing = [name for name in extra.packages if name not in found]
    install = f"pip install 'deployopt[{extra.name}]'"
    if not missing:
        first = extra.packages[0]
        says = f"{extra.enables} ({first} {found[first]})"
        tried = _TRIED.get(first)
        if tried is not None and not matches(found[first], tried):
            says = f"{first} {found[first]} is outside of what was tried ({tried})"
            return Finding(topic=extra.name, state=State.WARNING, says=says, mend=install)
        return Finding(topic=extra.name, state=State.GOOD, says=says)
    if found:
        says = f"only a part is installed: {', '.join(missing)} missing, for {extra.enables}"
        return Finding(topic=extra.name, state=State.WARNING, says=says, mend=install)
    says = f"not installed; it enables {extra.enables}"
    return Finding(topic=extra.name, state=State.NOTE, says=says, mend=install)


def _program(program: Program, which: Callable[[str], str | None]) -> Finding:
    missing = [name for name in program.names if which(name) is None]
    topic = program.names[0]
    if not missing:
        return Finding(topic=topic, state=State.GOOD, says=program.enables)
    return Finding(
        topic=topic,
        state=State.NOTE,
        says=f"{', '.join(missing)} not found; for {program.enables}",
        mend=f"apt install {program.package}",
    )
