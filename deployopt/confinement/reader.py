"""A reader of strangers' files in a process of its own: it may die, and nothing else does.

In: one of our modules that serves such questions, the paths it may read, its limits. Out: its
answers, or its errors as if it were here. Whatever else becomes of it (a crash, a hang, too much
memory, a flood of output) is a StoppedError, and the next question starts it afresh. Questions and
answers are framed on a socket of their own; nothing is unpickled, and what is printed says nothing.
"""

import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from deployopt.confinement.environment import bare_environment
from deployopt.core.errors import (
    DeployoptError,
    IntegrityError,
    RefusedInputError,
    UsageError,
)
from deployopt.core.text import safe_text

HEADER: Final = struct.Struct(">cI")
ANSWER: Final = b"+"
ERROR: Final = b"-"
QUESTION: Final = b"?"
READY: Final = b"!"
_WATCH_S: Final = 0.05
_START_S: Final = 120.0
_PART: Final = 2**18
_TAIL: Final = 400
_MIB: Final = 2**20
_PAGE: Final = os.sysconf("SC_PAGESIZE")
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH")
_SETTINGS: Final = {
    # What reads a folder for transformers asks nobody.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
ErrorKind = Literal["usage", "refused", "integrity", "failed"]
_ERRORS: Final[dict[ErrorKind, type[DeployoptError]]] = {
    "usage": UsageError,
    "refused": RefusedInputError,
    "integrity": IntegrityError,
}


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one question may take, beyond what the reader holds when it is idle."""

    wall_s: float = 60.0
    memory_bytes: int = 2 * 2**30
    headroom_bytes: int = 2 * 2**30
    """Address space beyond that: threads and allocators reserve what they never touch."""
    answer_bytes: int = 256 * 2**20
    output_bytes: int = 2**20


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the process is told when it starts."""

    bounds: Bounds
    readable: tuple[str, ...]
    parent: int


class Complaint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error of the reader's."""

    kind: ErrorKind
    message: str


class StoppedError(Exception):
    """The reader gave no answer; the text continues "reading it in a process of its own …"."""


class Reader:
    """The process, started by the first question; several threads may ask, one after the other."""

    def __init__(
        self, module: str, readable: Sequence[Path] = (), bounds: Bounds | None = None
    ) -> None:
        self._module = module
        self._readable = tuple(str(path.absolute()) for path in readable)
        self._bounds = bounds or Bounds()
        self._running: _Running | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return None if self._running is None else self._running.process.pid

    def ask(self, question: bytes) -> bytes:
        """The answer to one question.

        Raises:
            UsageError, RefusedInputError, IntegrityError: what the reader says of the file.
            StoppedError: it died, or passed a limit, and was stopped.
        """
        with self._turn:
            try:
                kind, body = self._exchange(question)
            except BaseException:
                self.close()
                raise
        if kind == ANSWER:
            return body
        complaint = _complaint(body)
        if complaint.kind == "failed":
            raise StoppedError(f"failed: {safe_text(complaint.message, _TAIL)}")
        raise _ERRORS[complaint.kind](complaint.message)

    def start(self) -> None:
        """Start the process where none runs; `ask` does it as well.

        Raises:
            StoppedError: it did not start.
        """
        if self._running is not None and self._running.process.poll() is not None:
            self.close()  # the kernel ended it with the thread that had started it
        if self._running is None:
            self._running = _Running(self._module, self._readable, self._bounds)
            # What it imports is no part of the first file's time and memory.
            kind, _ = self._running.receive(_START_S, None)
            if kind != READY:
                raise StoppedError("did not start")

    def close(self) -> None:
        """Stop the process; a later question starts another."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _exchange(self, question: bytes) -> tuple[bytes, bytes]:
        self.start()
        running = self._running
        if running is None:
            raise StoppedError("did not start")
        running.send(question)
        room = running.resident_bytes() + self._bounds.memory_bytes
        return running.receive(self._bounds.wall_s, room)


def _complaint(body: bytes) -> Complaint:
    try:
        return msgspec.json.decode(body, type=Complaint)
    except msgspec.MsgspecError:
        raise StoppedError("spoke nonsense") from None


class _Running:
    """One started process, its channel and what it prints."""

    def __init__(self, module: str, readable: tuple[str, ...], bounds: Bounds) -> None:
        self._bounds = bounds
        self._printed = 0
        self._tail = b""
        terms = Terms(bounds=bounds, readable=readable, parent=os.getpid())
        self._channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
                [sys.executable, "-P", "-W", "ignore", "-m", module, str(theirs.fileno()),
                    msgspec.json.encode(terms).decode()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=Path("/"),
                env=bare_environment(_PASSED_ON, _SETTINGS),
            )  # fmt: skip
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._channel, selectors.EVENT_READ)
        if self.process.stdout is not None:
            self._selector.register(self.process.stdout, selectors.EVENT_READ)
        # Also when nobody asks any more, and when this process ends.
        self.stop = weakref.finalize(self, _stop, self.process, self._channel, self._selector)

    def send(self, question: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(HEADER.pack(QUESTION, len(question)) + question)

    def receive(self, wall_s: float, room_bytes: int | None) -> tuple[bytes, bytes]:
        """The next frame, within the time and the memory."""
        received = bytearray()
        end = time.monotonic() + wall_s
        while True:
            frame = self._whole(received)
            if frame is not None:
                return frame
            left = end - time.monotonic()
            if left <= 0:
                raise StoppedError(f"took more than {wall_s:g} s")
            self._within(room_bytes)
            for key, _ in self._selector.select(min(_WATCH_S, left)):
                if key.fileobj is not self._channel:
                    self._drain()
                elif not self._hear(received):
                    raise self._death()

    def resident_bytes(self) -> int:
        try:
            text = Path(f"/proc/{self.process.pid}/statm").read_text("ascii")
        except OSError:
            return 0
        return int(text.split()[1]) * _PAGE

    def _whole(self, received: bytearray) -> tuple[bytes, bytes] | None:
        if len(received) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(received)
        if kind not in (ANSWER, ERROR, READY):
            raise StoppedError("spoke nonsense")
        if length > self._bounds.answer_bytes:
            raise StoppedError(f"announced an answer of {length} bytes")
        if len(received) < HEADER.size + length:
            return None
        return kind, bytes(received[HEADER.size : HEADER.size + length])

    def _hear(self, received: bytearray) -> bool:
        try:
            part = self._channel.recv(_PART)
        except ConnectionResetError:
            part = b""
        received += part
        return bool(part)

    def _drain(self) -> None:
        output = self.process.stdout
        part = os.read(output.fileno(), _PART) if output is not None else b""
        if not part and output is not None:
            self._selector.unregister(output)
        self._printed += len(part)
        self._tail = (self._tail + part)[-_TAIL:]
        if self._printed > self._bounds.output_bytes:
            raise StoppedError(f"printed more than {self._bounds.output_bytes} bytes")

    def _within(self, room_bytes: int | None) -> None:
        if room_bytes is not None and self.resident_bytes() > room_bytes:
            raise StoppedError(f"took more than {self._bounds.memory_bytes // _MIB} MiB of memory")

    def _death(self) -> StoppedError:
        try:
            code = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return StoppedError("closed its channel")
        if code >= 0:
            said = safe_text(self._tail.decode("utf-8", "replace"), 200)
            return StoppedError(f"ended it (exit {code}{': ' + said if said else ''})")
        return StoppedError(f"killed it ({signal.Signals(-code).name})")


def _stop(
    process: "subprocess.Popen[bytes]",
    channel: socket.socket,
    selector: selectors.BaseSelector,
) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    selector.close()
    channel.close()
    if process.stdout is not None:
        process.stdout.close()
