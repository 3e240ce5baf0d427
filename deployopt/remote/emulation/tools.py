"""The programs of the system that emulation needs, found and run.

In: names and arguments. Out: paths, versions. A missing program is an error that names the Debian
packages; a program that fails is one with its last words.
"""

import os
import platform
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import DeviceError, StorageError, UsageError
from deployopt.core.text import safe_text

QEMU: Final = "qemu-aarch64"
MAKE_SYSTEM: Final = "mmdebstrap"
COMPILER: Final = "gcc"
_BINDER: Final = "setpriv"
"""Of util-linux, which every Debian has."""
_INSTALL: Final = "apt-get install --no-install-recommends qemu-user mmdebstrap gcc libc6-dev"
_VERSION: Final = re.compile(r"version (\d{1,3})\.(\d{1,3})\S*")
_OLDEST: Final = (7, 1)
"""Has the Cortex-A76."""
_TAIL: Final = 4
_FULL: Final = "No space left on device"
_ILLEGAL: Final = " This build of onnxruntime uses instructions that the processor lacks."


class Emulator(msgspec.Struct, frozen=True, kw_only=True):
    """QEMU's user mode for aarch64."""

    path: str
    version: str
    release: tuple[int, int]

    @property
    def plugin_api(self) -> int:
        """The version of its plugin interface that a plugin should name."""
        if self.release < (9, 0):
            return 1
        return 2 if self.release < (9, 1) else 3


def refuse_arm_host() -> None:
    """Raise UsageError where this machine is an ARM one itself."""
    if platform.machine() in {"aarch64", "arm64"}:
        raise UsageError(
            "This machine runs ARM code itself, so that nothing has to be emulated: "
            "`deployopt verify BUNDLE` does it directly."
        )


def find_emulator() -> Emulator:
    """The emulator of this machine; raises DeviceError where there is none, or an old one."""
    path = find_tools(QEMU)[0]
    said = run_tool([path, "--version"], "Asking the emulator for its version")
    match = _VERSION.search(said)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    if release < _OLDEST:
        raise DeviceError(f"{path} is too old: version 7.1 or later is needed. Found: {said[:80]}.")
    return Emulator(
        path=path, version=match[0].removeprefix("version ") if match else "", release=release
    )


def find_tools(*names: str) -> tuple[str, ...]:
    """Their paths; raises DeviceError that names every one that is missing."""
    found = [shutil.which(name) for name in names]
    missing = [name for name, path in zip(names, found, strict=True) if path is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise DeviceError(
            f"Emulation needs programs of the system, and {', '.join(missing)} {verb} not "
            f"installed. On Debian or Ubuntu: {_INSTALL}"
        )
    return tuple(path for path in found if path is not None)


def run_tool(
    words: Sequence[str | Path],
    doing: str,
    *,
    timeout_s: float = 900.0,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end in a group of its own; what it printed on stdout.

    Raises:
        DeviceError: it failed, or took too long; with its last words.
        StorageError: it ran out of disk.
    """
    with subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
        [*_bound_to_us(), *(str(word) for word in words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    ) as process:
        with suppress(ProcessLookupError, PermissionError):
            # The emulator would leave its program's core file in the current folder.
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        try:
            out, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise DeviceError(f"{doing} took more than {timeout_s:g} s and was stopped.") from error
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise _failure(doing, process.returncode, errors.decode("utf-8", "replace"))
    return out.decode("utf-8", "replace")


def _bound_to_us() -> tuple[str, ...]:
    """A program before another, which then dies with this process, however that happens."""
    found = shutil.which(_BINDER)
    return () if found is None else (found, "--pdeathsig", "KILL", "--")


def _failure(doing: str, code: int, errors: str) -> DeviceError | StorageError:
    lines = [line.strip() for line in errors.splitlines() if line.strip()][-_TAIL:]
    said = " | ".join(safe_text(line, 200) for line in lines)
    if _FULL in errors:
        return StorageError(
            f"{doing} failed: the disk is full. Free some space, or set DEPLOYOPT_HOME to a "
            f"folder on a larger disk. It said: {said}"
        )
    how = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    hint = _ILLEGAL if -code == signal.SIGILL else ""
    return DeviceError(f"{doing} failed ({how}).{hint} It said: {said or 'nothing'}")
