"""The small install for aarch64, without an ARM machine: `pip` chooses and unpacks the wheels.

In: this install's own requirements and the target's range of ONNX Runtime. Out: a folder of
packages, and what is in it. Made once for each set of requirements.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.requirements import requirements
from deployopt.core.target import Target
from deployopt.core.versions import matches
from deployopt.remote.emulation.system import PYTHON
from deployopt.remote.emulation.tools import run_tool
from deployopt.store.faults import require_space
from deployopt.store.kept import kept_folder

RUNTIME: Final = "onnxruntime"
_PLATFORMS: Final = (
    *("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64"),
    *("manylinux2014_aarch64",),
)
_ROOM_BYTES: Final = 600 * 2**20
_BYTECODE: Final = (
    "--compile" if f"{sys.version_info[0]}.{sys.version_info[1]}" == PYTHON else "--no-compile"
)
"""Only the same version's can be used there, and then it saves the emulator a second a start."""
_UNKNOWN: Final = "No matching distribution found"


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """Packages in a folder; versions and bytes by distribution, without Python's bytecode."""

    folder: Path
    versions: dict[str, str]
    sizes: dict[str, int]


def small_install(home: Path, target: Target, version: str | None = None) -> Installed:
    """Packages as the target would get them; ONNX Runtime is this one's version where it can be.

    Raises:
        UsageError: this `version` of ONNX Runtime is not one that the target allows.
        DeviceError: pip failed, such as without a network.
        StorageError: the disk is full.
    """
    allowed = target.runtime.versions
    if version is not None:
        require_allowed(version, target)
        return unpacked(home, f"=={version}")
    here = metadata.version(RUNTIME) if _has(RUNTIME) else None
    if here is not None and matches(here.partition("+")[0], allowed):
        try:
            return unpacked(home, f"=={here.partition('+')[0]}")
        except DeviceError as error:
            if _UNKNOWN not in str(error):
                raise
    return unpacked(home, allowed)


def require_allowed(version: str, target: Target) -> None:
    """Raise UsageError unless the target's range of ONNX Runtime holds this version."""
    allowed = target.runtime.versions
    try:
        inside = matches(version, allowed)
    except ValueError as error:
        raise UsageError(f"--onnxruntime: {error}.") from error
    if not inside:
        raise UsageError(
            f"onnxruntime {version} is not one that {target.name} allows ({allowed}). Name another "
            "with --onnxruntime, or none for one that it allows."
        )


def unpacked(home: Path, versions: str) -> Installed:
    """The small install with ONNX Runtime in this range of versions, whatever a target allows."""
    wanted = tuple(_requirements(versions))
    key = hashlib.sha256("\n".join((PYTHON, *_PLATFORMS, *wanted)).encode()).hexdigest()[:16]
    folder = kept_folder(home, f"install-{key}", lambda made: _unpack(made, wanted))
    return _described(folder)


def _requirements(versions: str) -> Iterator[str]:
    """What `pip install deployopt` asks for, with this range of ONNX Runtime."""
    found = requirements()
    if not found:
        raise DeviceError(
            "deployopt is not installed here, so that nobody knows what it needs on the device. "
            "Install it: pip install deployopt, or pip install -e . in its source."
        )
    for one in found:
        yield f"{RUNTIME}{versions}" if one.name == RUNTIME else one.text


def _unpack(folder: Path, wanted: Sequence[str]) -> None:
    require_space(folder.parent.parent, _ROOM_BYTES, "The install for ARM")
    words: list[str | Path] = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input", _BYTECODE),
        *("--disable-pip-version-check", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", PYTHON, "--target", folder),
    ]
    for name in _PLATFORMS:
        words += ["--platform", name]
    run_tool(
        [*words, *wanted], "Fetching the packages for ARM with pip (it needs the network once)"
    )


def _described(folder: Path) -> Installed:
    found = sorted(metadata.distributions(path=[str(folder)]), key=lambda d: d.name.lower())
    return Installed(
        folder=folder,
        versions={each.name: each.version for each in found},
        sizes={each.name: _size(each) for each in found},
    )


def _size(distribution: metadata.Distribution) -> int:
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())


def _has(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
