"""One connection: an ssh process, and frames over its stdin and stdout.

In: an argument list. Out: words that carry this connection's nonce and answer the question that was
put. It waits in the kernel, for as long as it is told; a connection that ends, or stays silent, is
a LostError or, where another attempt is of no use, an error that says what to do.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.errors import (
    DeployoptError,
    DeviceError,
    IntegrityError,
    StorageError,
    UnreachableError,
    UsageError,
)
from deployopt.core.text import safe_text
from deployopt.device.framing import CHUNK, HEADER, WORD, frame, frame_kind, preamble
from deployopt.device.protocol import Working
from deployopt.device.serving_words import Word, decode_word

SSH_FAILED: Final = 255
"""What ssh itself exits with; any other code is of the program there."""
_PART: Final = 2**18
_TAIL: Final = 8192
_NOISE_MAX: Final = 2**20
_END_S: Final = 3.0
_SMALL: Final = 2**20
"""Words that carry no measurement are no longer than this."""
_ERRORS: Final[dict[str, type[DeployoptError]]] = {
    "device": DeviceError,
    "integrity": IntegrityError,
    "space": StorageError,
    "storage": StorageError,
    "usage": UsageError,
}
Trouble = Callable[[int | None, str], DeployoptError | None]
Signs = Callable[[Working], None]


class LostError(Exception):
    """The connection ended, with ssh's exit code, or fell `silent`; another attempt may do."""

    def __init__(
        self, code: int | None, said: str, *, silent: bool = False, begun: bool = False
    ) -> None:
        super().__init__(said)
        self.code = code
        self.said = said
        self.silent = silent
        self.begun = begun

    @property
    def broken(self) -> bool:
        """Whether a connection that stood was broken, by nobody's decision at either end."""
        by_ssh = self.code is None or self.code < 0 or self.code == SSH_FAILED
        return self.begun and by_ssh and not self.silent


class RefusedError(Exception):
    """The device said no, in a kind that whoever asked knows to answer."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device says when it could not do what was asked."""

    kind: str
    message: str


def unheard(_sign: Working) -> None:
    """No one listens to signs of life."""


class Link:
    """A running ssh; `trouble` finds the error in how it ended, where it is a lasting one."""

    def __init__(self, command: Sequence[str], nonce: str, trouble: Trouble) -> None:
        self._nonce = nonce
        self._trouble = trouble
        self._process = subprocess.Popen(  # noqa: S603 -- an argument list, no shell
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._received = bytearray()
        self._said = b""
        self._number = 0
        self._ended = self._begun = False
        self._selector = selectors.DefaultSelector()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
        self._input = _descriptor(self._process.stdin)
        self._selector.register(_descriptor(self._process.stdout), selectors.EVENT_READ, self._hear)
        self._selector.register(_descriptor(self._process.stderr), selectors.EVENT_READ, self._note)

    def begin(self, program: bytes, quiet_s: float) -> None:
        """Send the helper and wait for its first line, past what a login shell prints."""
        self._write(program, quiet_s)
        mark = preamble(self._nonce)
        deadline = time.monotonic() + quiet_s
        while (place := self._received.find(mark)) < 0:
            if len(self._received) > _NOISE_MAX:
                raise UnreachableError(
                    "The device's login shell prints without end, so that nothing can be heard "
                    "over it. Look into its start files (.bashrc, .profile)."
                )
            self._wait(deadline)
        del self._received[: place + len(mark)]
        self._begun = True

    def ask(
        self, op: str, body: object, answer: str, quiet_s: float, signs: Signs = unheard
    ) -> bytes:
        """Put a question and wait for its answer's body; `quiet_s` between two signs of life.

        Raises:
            LostError: the connection ended, or nothing was heard.
            RefusedError: the device said why not.
            IntegrityError: what came is no answer to this question.
        """
        self._number += 1
        words = {"number": self._number, "op": op, "body": msgspec.Raw(encode_json(body))}
        self._write(frame(WORD, msgspec.json.encode(words)), quiet_s)
        return self.answer(answer, quiet_s, signs)

    def lives(self) -> bool:
        """Whether its ssh still runs."""
        return self._process.poll() is None

    @property
    def number(self) -> int:
        """Of the last question."""
        return self._number

    def answer(self, wanted: str, quiet_s: float, signs: Signs = unheard) -> bytes:
        """The next answer to the last question."""
        while True:
            body = self._frame(WORD, quiet_s, None if wanted == "answer" else _SMALL)
            word = decode_word(body, Word)
            if word.nonce != self._nonce or word.number != self._number:
                raise IntegrityError("The device gave an answer that is not of this question.")
            if word.op == "working":
                signs(decode_word(word.body, Working))
            elif word.op == "failed":
                failure = decode_word(word.body, Failure)
                raise RefusedError(failure.kind, safe_text(failure.message, 1500))
            elif word.op == wanted:
                return bytes(word.body)
            else:
                raise IntegrityError("The device answered another question.")

    def chunks(self, size: int, quiet_s: float) -> Iterator[bytes]:
        """The bytes of a file that follows an answer, `size` in all."""
        left = size
        while left > 0:
            chunk = self._frame(CHUNK, quiet_s, None)
            if not 0 < len(chunk) <= left:
                raise IntegrityError("The device sent more of a file than it announced.")
            left -= len(chunk)
            yield chunk

    def send_chunk(self, chunk: bytes, quiet_s: float) -> None:
        """Some bytes of a file."""
        self._write(frame(CHUNK, chunk), quiet_s)

    def close(self) -> None:
        """End the connection; the other side ends with it. ssh gets a moment, then it is killed."""
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _frame(self, wanted: bytes, quiet_s: float, most: int | None) -> bytes:
        self._need(HEADER.size, quiet_s)
        try:
            kind, length = frame_kind(bytes(self._received[: HEADER.size]))
        except ValueError as error:
            raise IntegrityError(f"The device spoke nonsense: {error}.") from error
        if kind != wanted or (most is not None and length > most):
            raise IntegrityError("The device sent what was not asked for.")
        self._need(HEADER.size + length, quiet_s)
        body = bytes(self._received[HEADER.size : HEADER.size + length])
        del self._received[: HEADER.size + length]
        return body

    def _need(self, length: int, quiet_s: float) -> None:
        while len(self._received) < length:
            before = len(self._received)
            deadline = time.monotonic() + quiet_s
            while len(self._received) == before:
                self._wait(deadline)

    def _write(self, data: bytes, quiet_s: float) -> None:
        view = memoryview(data)
        self._selector.register(self._input, selectors.EVENT_WRITE, None)
        try:
            deadline = time.monotonic() + quiet_s
            while view and not (self._ended and self._received):
                if not self._wait(deadline):
                    continue
                try:
                    view = view[os.write(self._input, view[:_PART]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    # It may have said why: that is heard as the answer.
                    self._hear_out()
                    return
                deadline = time.monotonic() + quiet_s
        finally:
            self._selector.unregister(self._input)

    def _hear_out(self) -> None:
        """All that the other side has said before it ended."""
        deadline = time.monotonic() + _END_S
        while not self._ended and time.monotonic() < deadline:
            self._wait(deadline)
        if not self._received:
            raise self._lost()

    def _wait(self, deadline: float) -> bool:
        """Wait for anything; whether it may be written now."""
        if self._ended:
            raise self._lost()
        left = deadline - time.monotonic()
        ready = self._selector.select(left) if left > 0 else []
        if left <= 0:
            raise LostError(None, f"{self._words()}\nit gave no sign of life", silent=True)
        writable = False
        for key, _ in ready:
            if key.data is None:
                writable = True
            else:
                key.data(key.fd)
        return writable

    def _hear(self, descriptor: int) -> None:
        data = self._read(descriptor)
        self._received += data or b""
        self._ended = data == b""

    def _note(self, descriptor: int) -> None:
        self._said = (self._said + (self._read(descriptor) or b""))[-_TAIL:]

    def _read(self, descriptor: int) -> bytes | None:
        """Some bytes; none at the end; None where there are none yet."""
        try:
            data = os.read(descriptor, _PART)
        except BlockingIOError:
            return None
        if not data:
            self._selector.unregister(descriptor)
        return data

    def _words(self) -> str:
        return self._said.decode("utf-8", "replace")

    def _lost(self) -> Exception:
        """How it ended: a lasting trouble, or a connection that was lost."""
        code = None
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=_END_S)
        with suppress(OSError):
            while data := os.read(_descriptor(self._process.stderr), _PART):
                self._said = (self._said + data)[-_TAIL:]
        return self._trouble(code, self._words()) or LostError(
            code, self._words(), begun=self._begun
        )


def error_of(refused: RefusedError) -> DeployoptError:
    """A device's no as an error of this process."""
    return _ERRORS.get(refused.kind, DeviceError)(str(refused))


def _descriptor(stream: object) -> int:
    fileno: int = stream.fileno()  # type: ignore[attr-defined]
    return fileno
