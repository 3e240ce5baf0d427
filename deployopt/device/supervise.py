"""Runs a child process and keeps it harmless: deadlines, memory, output, signals, no orphans.

In: what to start and one request. Out: its last reply. Whatever the child does (hang, crash, eat
memory, flood stdout, fork) becomes a DeviceError that says what happened; its whole group is
stopped on every way out, Ctrl-C included. The parent waits in the kernel, so that nothing spins
beside a measurement.
"""

import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from deployopt.confinement.environment import bare_environment
from deployopt.core.card import BUILT_THERE
from deployopt.core.errors import (
    DeployoptError,
    DeviceError,
    IntegrityError,
    StorageError,
    UsageError,
)
from deployopt.core.text import safe_text
from deployopt.device.protocol import (
    HEADER_BYTES,
    Evaluated,
    Failed,
    Reply,
    Request,
    Timed,
    Turn,
    Waiting,
    Working,
    decode_reply,
    frame,
    frame_length,
)
from deployopt.device.setup import Limits
from deployopt.device.strays import MARK, new_mark, stop_strays

CHILD: Final = (sys.executable, "-P", "-m", "deployopt.device.child")
_WATCH_S: Final = 0.5
"""Between looks at the child's memory: one small file twice a second disturbs nothing."""
_TERM_S: Final = 1.0
_TAIL_BYTES: Final = 4096
_TAIL_LINES: Final = 5
_PART: Final = 65536
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "TZ")
_SETTINGS: Final = {
    # numpy's threads would be counted as the model's, and take memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}
_MIB: Final = 2**20
_CPU: Final = "cpu"
_ERRORS: Final[dict[str, type[DeployoptError]]] = {
    "device": DeviceError,
    "integrity": IntegrityError,
    "storage": StorageError,
    "usage": UsageError,
}
Progress = Callable[[Working], None]


def ask(
    request: Request,
    limits: Limits,
    progress: Progress = lambda _: None,
    command: Sequence[str] = CHILD,
) -> Timed | Evaluated:
    """Start a fresh child, give it the request, and wait for its answer.

    Raises:
        DeviceError: it failed, died, or passed one of its limits.
        IntegrityError: it found a file that is not what it should be.
        StorageError: it could not write its answers.
        UsageError: it found examples that are not what the model takes.
    """
    with started(command) as (process, channel):
        reply = Watched(process, channel, limits).begin(request, progress)
        if isinstance(reply, Waiting):
            raise DeviceError("The model's process waits for what nobody gives.")
        return reply


class Watched:
    """A running child, its channel, its output so far, and its limits."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", channel: socket.socket, limits: Limits
    ) -> None:
        self._process = process
        self._channel = channel
        self._limits = limits
        self._quiet_s = limits.quiet_s
        self._received = bytearray()
        self._tail = bytearray()
        self._printed = 0
        self._started = self._heard = time.monotonic()
        self._open = self._printing = True
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ, self._hear)
        if process.stdout is not None:
            # The last words are read when it is dead, and what it started may go on printing.
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, self._drain)

    def begin(self, request: Request, progress: Progress) -> Timed | Evaluated | Waiting:
        """Give it the request, and wait until it answers or waits for its turn."""
        # Before the request, so that nothing that a model does can come first.
        self._bound(on_card=request.setup.provider != _CPU)
        if request.setup.provider in BUILT_THERE:
            # It builds for minutes before it says its first word.
            self._quiet_s = self._limits.wall_s
        return self._exchange(request, progress)

    def take_turn(self, progress: Progress) -> Timed | Evaluated | Waiting:
        """Let it go on, and wait until it answers or waits again."""
        _signal_group(self._process.pid, signal.SIGCONT)
        now = time.monotonic()
        # What passed while others had their turns is none of its doing.
        self._started += now - self._heard
        self._heard = now
        return self._exchange(Turn(), progress)

    def _exchange(self, message: Request | Turn, progress: Progress) -> Timed | Evaluated | Waiting:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(frame(message))
        while True:
            reply = self._next_reply()
            if isinstance(reply, Working):
                self._quiet_s = self._limits.quiet_s
                progress(reply)
                continue
            if isinstance(reply, Failed):
                raise _ERRORS[reply.kind](reply.message)
            if isinstance(reply, Waiting):
                # A pool of threads spins for a while after its last request.
                _signal_group(self._process.pid, signal.SIGSTOP)
            return reply

    def _bound(self, *, on_card: bool = False) -> None:
        """Set the kernel's limits on the child: address space, CPU time, no core file.

        A card's driver reserves as many addresses as the card and the machine have memory, and
        touches few: its child is held by its resident memory alone.
        """
        limits = {resource.RLIMIT_CORE: (0, 0)}
        if self._limits.memory_bytes is not None and not on_card:
            most = self._limits.memory_bytes + self._limits.address_headroom_bytes
            limits[resource.RLIMIT_AS] = (most, most)
        if self._limits.cpu_s is not None:
            limits[resource.RLIMIT_CPU] = (self._limits.cpu_s, self._limits.cpu_s + 1)
        for kind, bounds in limits.items():
            with suppress(ProcessLookupError, PermissionError, ValueError):
                resource.prlimit(self._process.pid, kind, bounds)

    def _next_reply(self) -> Reply:
        """Wait for one whole frame."""
        while True:
            # Whoever was stopped for long finds the signs of life that came meanwhile.
            self._look(0.0)
            body = self._whole_frame()
            if body is not None:
                reply = decode_reply(body)
                if isinstance(reply, Working | Waiting):
                    self._check()
                return reply
            if not self._open:
                raise self._death()
            self._check()
            # A process that it started may hold the channel open.
            if not self._look(_WATCH_S) and self._process.poll() is not None:
                raise self._death()

    def _look(self, seconds: float) -> bool:
        """Take what has come, or comes within so long; whether anything did."""
        events = self._selector.select(seconds)
        for key, _ in events:
            key.data()
        return bool(events)

    def _whole_frame(self) -> bytes | None:
        if len(self._received) < HEADER_BYTES:
            return None
        end = HEADER_BYTES + frame_length(bytes(self._received[:HEADER_BYTES]))
        if len(self._received) < end:
            return None
        body = bytes(self._received[HEADER_BYTES:end])
        del self._received[:end]
        return body

    def _hear(self) -> None:
        try:
            data = self._channel.recv(_PART)
        except ConnectionResetError:
            data = b""
        self._received += data
        self._heard = time.monotonic()
        if not data:
            self._open = False
            self._selector.unregister(self._channel)

    def _drain(self) -> None:
        output = self._process.stdout
        if output is None or not self._printing:
            return
        data = os.read(output.fileno(), _PART)
        if not data:
            self._printing = False
            self._selector.unregister(output)
        self._printed += len(data)
        self._tail = (self._tail + data)[-_TAIL_BYTES:]

    def _check(self) -> None:
        limits, now = self._limits, time.monotonic()
        used = self._used_bytes() if limits.memory_bytes is not None else 0
        if limits.memory_bytes is not None and used > limits.memory_bytes:
            raise DeviceError(
                f"The model took {used // _MIB} MiB of memory, more than the "
                f"{limits.memory_bytes // _MIB} MiB that it may, and was stopped."
            )
        if now - self._started > limits.wall_s:
            raise DeviceError(f"The model was stopped after {limits.wall_s:g} s.{self._said()}")
        if now - self._heard > self._quiet_s:
            raise DeviceError(
                f"The model gave no sign of life for {self._quiet_s:g} s and was stopped."
                f"{self._said()}"
            )
        if self._printed > limits.output_bytes:
            raise DeviceError(
                f"The model's process printed more than {limits.output_bytes // _MIB} MiB and was "
                f"stopped.{self._said()}"
            )

    def _used_bytes(self) -> int:
        """Resident bytes of the child; looking for its children would read all of /proc."""
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _death(self) -> DeviceError:
        """What to say of a child that closed its channel without an answer."""
        try:
            code = self._process.wait(timeout=_TERM_S)
        except subprocess.TimeoutExpired:
            return DeviceError(f"The model's process closed its channel.{self._said()}")
        with suppress(BlockingIOError):
            self._drain()
        if code >= 0:
            return DeviceError(
                f"The model's process ended (exit code {code}) without an answer.{self._said()}"
            )
        name = signal.Signals(-code).name
        hint = {
            "SIGKILL": " The system probably ran out of memory.",
            "SIGXCPU": " It used more processor time than it may.",
            "SIGILL": " This build of onnxruntime uses instructions that this processor lacks.",
        }.get(name, "")
        return DeviceError(f"The model's process was killed by {name}.{hint}{self._said()}")

    def _said(self) -> str:
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()[-_TAIL_LINES:]
        if not lines:
            return ""
        return f" Its last words: {' | '.join(safe_text(line, 200) for line in lines)}"


@contextmanager
def started(
    command: Sequence[str],
) -> Iterator[tuple["subprocess.Popen[bytes]", socket.socket]]:
    """A child in a session of its own, and our end of its channel; ended on the way out."""
    ours, theirs = socket.socketpair()
    mark = new_mark()
    with ours:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
                [*command, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=Path("/"),
                env=child_environment() | {MARK: mark},
            )
        try:
            yield process, ours
        finally:
            _stop(process)
            stop_strays(mark)


def child_environment() -> dict[str, str]:
    """The few variables that the child gets."""
    return bare_environment(_PASSED_ON, _SETTINGS)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """TERM then KILL, the whole group and whatever left it; reap; close."""
    family = _family(process.pid)
    if process.poll() is None:
        _signal(process.pid, family, signal.SIGTERM)
        _signal_group(process.pid, signal.SIGCONT)  # one that waits for its turn is stopped
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_TERM_S)
    _signal(process.pid, family, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _signal(group: int, family: Sequence[psutil.Process], number: signal.Signals) -> None:
    _signal_group(group, number)
    for process in family:
        # psutil compares start times, so a number that was given anew is never hit.
        with suppress(psutil.Error):
            process.send_signal(number)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _family(pid: int) -> list[psutil.Process]:
    try:
        child = psutil.Process(pid)
        return [child, *child.children(recursive=True)]
    except psutil.Error:
        return []
