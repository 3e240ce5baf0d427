"""The process that speaks to Ray, from outside: lines to it, events from it, what it prints."""

import os
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from deployopt.core.codec import encode_json
from deployopt.core.errors import IntegrityError
from deployopt.core.text import safe_text
from deployopt.device.strays import MARK, new_mark, stop_strays
from deployopt.pipeline.matrix.ray_words import Event, Run, Wish, decode_event

COMMAND: Final = (sys.executable, "-P", "-m", "deployopt.pipeline.matrix.ray_child")
_STOP_S: Final = 20.0
_PART: Final = 65536
_LINE_MAX: Final = 2**24
_TAIL: Final = 2000


class Link:
    """The process from outside: lines to it, events from it, and what it prints."""

    def __init__(self, wish: Wish) -> None:
        self._mark = new_mark()
        self._begun = b""
        self._tail = bytearray()
        self._heard, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(theirs, True)
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- an argument list of ours, no shell
                [*COMMAND, str(theirs), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                pass_fds=[theirs],
                start_new_session=True,
                env=_environment(wish) | {MARK: self._mark},
            )
        except BaseException:
            os.close(self._heard)
            raise
        finally:
            os.close(theirs)
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError("a process was started without its streams")
        self._stdin = self._process.stdin
        self._output = self._process.stdout
        for stream in (self._stdin, self._output):
            os.set_blocking(stream.fileno(), False)
        self._open = [self._heard, self._output.fileno()]
        """What more may come from."""
        self.say(wish)

    def say(self, word: Wish | Run) -> None:
        """One line; that it has ended is met when it is asked for events.

        What it says and prints meanwhile is taken in: it listens to nobody who does not hear it.
        """
        data = memoryview(encode_json(word) + b"\n")
        with suppress(BrokenPipeError):
            while data:
                if self._stdin in select.select(self._open, [self._stdin], [])[1]:
                    data = data[self._stdin.write(data) or 0 :]
                self._begun += self._read()
                self._drain()

    def events(self, seconds: float) -> Iterator[Event]:
        """Wait so long for something to happen; what it said since."""
        if b"\n" not in self._begun:
            select.select(self._open, [], [], seconds)
        self._drain()
        while (data := self._read()) or b"\n" in self._begun:
            *lines, self._begun = (self._begun + data).split(b"\n")
            for line in lines:
                yield decode_event(line)
            if len(self._begun) > _LINE_MAX:
                raise IntegrityError("What speaks to Ray said a line without an end.")

    def _read(self) -> bytes:
        """What is there now; empty where nothing is, or no more comes."""
        try:
            data = os.read(self._heard, _PART)
        except BlockingIOError:
            return b""
        if not data:
            self._closed(self._heard)
        return data

    def _drain(self) -> None:
        """Keep the end of what it has printed."""
        printed = self._output.read(_PART)
        if printed == b"":
            self._closed(self._output.fileno())
        self._tail = (self._tail + (printed or b""))[-_TAIL:]

    def _closed(self, descriptor: int) -> None:
        """It would be ready for ever."""
        with suppress(ValueError):
            self._open.remove(descriptor)

    def has_ended(self) -> bool:
        """Whether its process is gone, and all was heard that it said."""
        heard = self._heard not in self._open and b"\n" not in self._begun
        return heard and self._process.poll() is not None

    def said(self) -> str:
        """Its last words."""
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        words = " | ".join(safe_text(line, 200) for line in lines[-3:])
        return words or f"it ended with exit code {self._process.poll()}."

    def stop(self) -> None:
        """Let it cancel and end; then whatever it started, too."""
        with suppress(OSError):
            self._stdin.close()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_STOP_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        stop_strays(self._mark)
        os.close(self._heard)
        self._output.close()


def _environment(wish: Wish) -> dict[str, str]:
    """Ray reports to nobody, and hides no accelerator; one of our own lets in nobody else."""
    changed = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    if wish.address is None:
        changed |= {"RAY_worker_niceness": "0"}
        changed |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return os.environ | changed
