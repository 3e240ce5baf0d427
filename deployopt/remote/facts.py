"""What a device says of itself before anything is installed there, and whether it will do.

In: the helper's first word. Out: nothing, or the reason why not, as an error. Only what decides the
install is asked; what the machine is like comes from the same code as on this machine, later.
"""

from typing import Final

import msgspec

from deployopt.core.errors import UnreachableError, UsageError
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, show_quantity

_ARCH: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_KNOWN: Final = ("x86_64", "aarch64")
_OLDEST: Final = (2, 27)
"""The C library that the oldest wheels of onnxruntime in use were built for."""
INSTALL_BYTES: Final = 400 * 2**20
"""Free space that the first connection needs: the environment, and the wheels it is made from."""
_BITS: Final = 64
_DAY_S: Final = 86400.0


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The helper's first word."""

    python: str
    arch: str
    bits: int
    system: str
    libc: str
    libc_version: str
    memory_bytes: int
    disk_free_bytes: int
    boot: str
    """Another one after every start."""
    clock_s: float
    """The wall clock, which decides nothing but a warning."""
    root: str

    @property
    def cpu_arch(self) -> str:
        """As targets name it."""
        return _ARCH.get(self.arch.lower(), self.arch)

    @property
    def glibc(self) -> tuple[int, int]:
        """The C library's version; (0, 0) where it is another one."""
        numbers = self.libc_version.split(".")[:2]
        if self.libc != "glibc" or not all(number.isdigit() for number in numbers):
            return (0, 0)
        return (int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0)


def check_arch(where: str, facts: Facts, wanted: str | None) -> None:
    """Raise UsageError where the device is of another architecture than the target."""
    if wanted is not None and facts.cpu_arch != wanted:
        raise UsageError(
            f"{where} is {safe_text(facts.cpu_arch, 40)}, and the target is {wanted}: what is "
            "measured there says nothing of the target. Nothing was installed. Name the device "
            "that the target is of, or choose the target that this device is."
        )


def check_system(where: str, facts: Facts) -> None:
    """Raise UnreachableError where the small install cannot run."""
    if facts.system != "linux":
        raise UnreachableError(
            f"{where} runs {safe_text(facts.system, 40)}; deployopt needs Linux."
        )
    if facts.cpu_arch not in _KNOWN:
        raise UnreachableError(
            f"{where} is {safe_text(facts.cpu_arch, 40)}; onnxruntime has no build for it, only "
            f"for {' and '.join(_KNOWN)}."
        )
    if facts.bits != _BITS:
        raise UnreachableError(
            f"{where} has a {facts.bits}-bit Python on {facts.cpu_arch}; onnxruntime has no build "
            "for it. Install the 64-bit edition of its system."
        )
    if facts.glibc < _OLDEST:
        found = safe_text(f"{facts.libc} {facts.libc_version}".strip() or "another", 40)
        raise UnreachableError(
            f"{where} has the C library {found}; the builds of onnxruntime need glibc "
            f"{_OLDEST[0]}.{_OLDEST[1]} or newer, so a newer system has to go on it."
        )


def check_space(where: str, facts: Facts) -> None:
    """Raise UnreachableError where the small install does not fit."""
    if facts.disk_free_bytes < INSTALL_BYTES:
        raise UnreachableError(
            f"{where} has {_shown(facts.disk_free_bytes)} free at {safe_text(facts.root, 200)}; "
            f"the small install needs {_shown(INSTALL_BYTES)}. Free some, or let XDG_CACHE_HOME "
            "there name a folder on a larger disk."
        )


def clock_words(facts: Facts, here_s: float) -> str | None:
    """A sentence where the device's wall clock is far off; measuring never looks at it."""
    off = abs(facts.clock_s - here_s)
    if off < _DAY_S:
        return None
    return (
        f"The device's clock is {off / _DAY_S:.0f} days off. Nothing is measured with it, but pip "
        "may refuse certificates there."
    )


def _shown(size: int) -> str:
    return show_quantity(size, Dimension.SIZE)
