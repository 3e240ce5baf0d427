"""Processes that a child left behind: out of its group and its session, their parents dead.

In: the mark that the child was started with, as a variable of its environment. Every process that
came of it was born with that, wherever it has gone since; one that starts a program with another
environment gets away. Needs Linux's /proc and pidfd.
"""

import os
import secrets
import signal
from pathlib import Path
from typing import Final

MARK: Final = "DEPLOYOPT_CHILD"
"""The variable's name."""
_SYSTEM: Final = Path("/proc")
_LOOKS: Final = 20


def new_mark() -> str:
    """A value that no other child has."""
    return secrets.token_hex(16)


def stop_strays(mark: str) -> None:
    """Kill every process with this mark.

    Again, until there is none left: it may have started others meanwhile.
    """
    wanted = f"{MARK}={mark}".encode()
    for _ in range(_LOOKS):
        there = [process for process in _SYSTEM.iterdir() if process.name.isdigit()]
        if not sum(_kill_marked(process, wanted) for process in there):
            return


def _kill_marked(process: Path, wanted: bytes) -> bool:
    try:
        # Opened first, so that a number that is given anew is never hit.
        descriptor = os.pidfd_open(int(process.name))
    except OSError:
        return False
    try:
        if wanted not in (process / "environ").read_bytes().split(b"\0"):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
