"""A person at a terminal: what is typed, and what one sees."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

_OWN_TERMINAL: Final = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])\n"
)
CTRL_C: Final = "\x03"
CTRL_D: Final = "\x04"
_PART: Final = 65536
_WAIT_S: Final = 60.0
_CALM_LOOKS: Final = 6


class Terminal:
    """A command that has a terminal of its own, of 80 columns."""

    def __init__(
        self, command: Sequence[object], folder: Path, environment: dict[str, str]
    ) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWN_TERMINAL, *map(str, command)],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, start_new_session=True,
            env=environment | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""
        self._looked = 0

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._ours, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Until this is seen, behind what was waited for before; all that came until then."""
        end = time.monotonic() + _WAIT_S
        while (found := re.search(pattern, self.seen[self._looked :])) is None:
            assert time.monotonic() < end, f"{pattern!r} was not seen: {self.seen!r}"
            assert self._look() or self.process.poll() is None, f"{pattern!r}: {self.seen!r}"
        came = self.seen[self._looked : self._looked + found.end()]
        self._looked += found.end()
        return came

    def settle(self) -> None:
        """Until it waits for a key; of a signal before that Python's readline learns late."""
        process, spent, calm = psutil.Process(self.process.pid), -1.0, 0
        while calm < _CALM_LOOKS:
            self._look()
            now = sum(process.cpu_times()[:2])
            calm = calm + 1 if now == spent and process.status() == "sleeping" else 0
            spent = now

    def end(self) -> int:
        """Wait until it ends; its exit code."""
        end = time.monotonic() + _WAIT_S
        while self.process.poll() is None:
            self._look()
            assert time.monotonic() < end, self.seen
        self._look()
        os.close(self._ours)
        return self.process.returncode

    def _look(self) -> bool:
        if not select.select([self._ours], [], [], 0.05)[0]:
            return False
        try:
            part = os.read(self._ours, _PART)
        except OSError:  # the other end has gone
            return False
        self.seen += part.decode("utf-8", "replace")
        return bool(part)
