"""Whether the memory that one more cell is predicted to take is free.

What runs already is counted by what it was predicted to take or takes, whichever is more, so that
builds which grow later do not meet.
"""

from collections.abc import Callable, Sequence

import msgspec
import psutil

from deployopt.device.machine import cgroup_memory, limits_here


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of a cell that runs: predicted, and resident now."""

    predicted_bytes: int
    resident_bytes: int
    alone: bool = False
    """Nothing may be begun beside it."""


class Admission:
    """`free` tells the bytes that are free now."""

    def __init__(self, free: Callable[[], int]) -> None:
        self._free = free

    def admits(self, needed_bytes: int, running: Sequence[Use], *, alone: bool = False) -> bool:
        """Whether it may begin now; where nothing runs it always may, or it never would."""
        if not running:
            return True
        if alone or any(use.alone for use in running):
            return False
        to_come = sum(max(0, use.predicted_bytes - use.resident_bytes) for use in running)
        return self._free() - to_come >= needed_bytes


def free_bytes() -> int:
    """Nine tenths of the memory that is free now, within the limits of this process's group."""
    return limits_here().memory_bytes or 0


def machine_bytes() -> int:
    """All the memory that this process's group may ever use."""
    total = int(psutil.virtual_memory().total)
    return min(total, cgroup_memory() or total)


def resident_bytes(pid: int) -> int:
    """Of one process; 0 where it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
