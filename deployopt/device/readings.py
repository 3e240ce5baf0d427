"""Small text files of the kernel: read whole, stripped, or None where there is no such file."""

from pathlib import Path
from typing import Final

import psutil

SYSTEM: Final = Path("/")
"""The root below which /proc and /sys are looked for; another one in tests."""

_LONGEST: Final = 1 << 20
_KIB: Final = 1024


def read_text(path: Path) -> str | None:
    """The file's text without surrounding space and NULs; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST)
    except OSError:
        return None
    return data.decode("utf-8", "replace").strip("\0 \t\r\n")


def read_number(path: Path) -> float | None:
    """The file's number; None when there is none."""
    text = read_text(path)
    try:
        return float(text) if text else None
    except ValueError:
        return None


def peak_rss_bytes() -> int:
    """The most memory that this process has had resident (VmHWM)."""
    for line in (read_text(SYSTEM / "proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    return int(psutil.Process().memory_info().rss)
