"""A cell's process, seen from outside: what it says, whether it lives, what is left of it.

Whatever it does (dies, is killed for memory, hangs, floods its output, writes a result that is none
or another cell's) becomes a sentence; its whole group is stopped on every way out.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import DeployoptError, IntegrityError
from deployopt.core.matrix import CellRequest, CellResult
from deployopt.core.text import safe_text
from deployopt.device.strays import MARK, new_mark, stop_strays
from deployopt.pipeline.matrix.messages import Hearing, Message, Share, Wants
from deployopt.store.writing import write_new_file

WORKER: Final = (sys.executable, "-P", "-m", "deployopt.pipeline.matrix.worker")
_TERM_S: Final = 5.0
_PART: Final = 65536
_TAIL_BYTES: Final = 4096
_TAIL_LINES: Final = 5
_MIB: Final = 2**20


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell's process may do before it is stopped."""

    quiet_s: float = 3600.0
    """Between two signs of life, while it waits for nobody."""
    output_bytes: int = 8 * _MIB
    """On stdout and stderr together."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """How a cell's process is started."""

    command: tuple[str, ...] = WORKER
    bounds: Bounds = Bounds()
    environment: dict[str, str | None] = {}
    """Beside this process's own; None: without it."""


class Child:
    """One attempt at a cell, running in `folder`, which is its own."""

    def __init__(
        self, cell: CellRequest, folder: Path, lease: int, start: Start, answers: int | None = None
    ) -> None:
        """`answers` is where it reads what it is told of its turns; None: nobody keeps them."""
        self.cell = cell
        passed = [lease] if answers is None else [lease, answers]
        self._bounds = start.bounds
        self._result = folder / "result.json"
        self._mark = new_mark()
        self._hearing = Hearing()
        self._tail = bytearray()
        self._printed = 0
        self._waits = False
        self.speaks = True
        """Whether its messages are not closed yet."""
        self._began_ns = time.perf_counter_ns()
        self._heard_s = time.monotonic()
        request = folder / "request.json"
        write_new_file(request, encode_json(cell))
        self.messages, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(theirs, True)
        try:
            with request.open("rb") as stdin:
                self._process = subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
                    [
                        *(*start.command, str(theirs), str(self._result), str(os.getpid())),
                        *map(str, passed),
                    ],
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    bufsize=0,
                    pass_fds=[theirs, *passed],
                    start_new_session=True,
                    env=_environment(start) | {MARK: self._mark},
                )
        except BaseException:
            os.close(self.messages)
            raise
        finally:
            os.close(theirs)
        if self._process.stdout is None:
            raise ValueError("a process was started without its output")
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.output, False)
        self.ending = os.pidfd_open(self._process.pid)
        """Ready to be read when it has ended."""

    @property
    def pid(self) -> int:
        """Its process's number."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return (time.perf_counter_ns() - self._began_ns) / 1e9

    def hear(self) -> list[Message]:
        """What it has said since; empty where there is nothing new."""
        data = _read(self.messages)
        self.speaks = data != b""
        messages = self._hearing.messages(data or b"")
        if messages:
            self._heard_s = time.monotonic()
            last = messages[-1]
            self._waits = last.waits if isinstance(last, Share | Wants) else False
        return messages

    def drain(self) -> bool:
        """Take what it has printed, and keep the end; whether it may print more."""
        data = _read(self.output)
        if data:
            self._printed += len(data)
            self._tail = (self._tail + data)[-_TAIL_BYTES:]
        return data != b""

    def trouble(self) -> str | None:
        """Why it must be stopped, or None."""
        if self._printed > self._bounds.output_bytes:
            return f"it printed more than {self._bounds.output_bytes // _MIB} MiB and was stopped"
        silent_s = time.monotonic() - self._heard_s
        if silent_s > self._bounds.quiet_s and not self._waits:
            return f"it gave no sign of life for {self._bounds.quiet_s:g} s and was stopped"
        return None

    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self._process.poll() is not None

    def result(self) -> CellResult | str:
        """What it left behind; a sentence where that is no result of this cell."""
        if not self._result.exists():
            return self._death()
        try:
            found = decode_json(self._result.read_bytes(), CellResult, where="The cell's result")
        except IntegrityError as error:
            return str(error)
        if found.name != self.cell.name or found.key != self.cell.key:
            return "it wrote the result of another cell"
        return found

    def stop(self) -> None:
        """TERM then KILL, the whole group and what left it; reap; close."""
        if self._process.poll() is None:
            _signal_group(self.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_TERM_S)
        _signal_group(self.pid, signal.SIGKILL)
        self._process.wait()
        stop_strays(self._mark)
        for descriptor in (self.messages, self.ending):
            os.close(descriptor)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def said(self) -> str:
        """Its last words, behind a sentence."""
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()[-_TAIL_LINES:]
        if not lines:
            return ""
        return f" Its last words: {' | '.join(safe_text(line, 200) for line in lines)}"

    def _death(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"it ended (exit code {code}) without a result"
        name = signal.Signals(-code).name
        hint = ": the system probably ran out of memory" if name == "SIGKILL" else ""
        return f"it was killed by {name}{hint}"


class LostCellError(DeployoptError):
    """The process of a cell came to no result, more than once."""


def _environment(start: Start) -> dict[str, str]:
    merged = os.environ | start.environment
    return {name: value for name, value in merged.items() if value is not None}


def _read(descriptor: int) -> bytes | None:
    """What is there now, at most a part of it; None where nothing is, empty where it is closed."""
    try:
        return os.read(descriptor, _PART)
    except BlockingIOError:
        return None


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
