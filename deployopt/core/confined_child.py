"""The other end of `confined`: a module of ours that reads a stranger's files says `serve(answer)`.

In: questions, on the descriptor that the first argument names. Out: answers, or errors by their
kind. Before the first question the process gives up what `confinement` says; it dies with its
parent.
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.confined import ANSWER, ERROR, HEADER, READY, Complaint, ErrorKind, Terms
from deployopt.core.confinement import confine_reader, limit_resources, limit_time
from deployopt.core.errors import (
    DeployoptError,
    ExitCode,
    IntegrityError,
    RefusedInputError,
    UsageError,
)

_PR_SET_PDEATHSIG: Final = 1
_QUESTION_MAX: Final = 16 * 2**20
_KINDS: Final[dict[type[DeployoptError], ErrorKind]] = {
    UsageError: "usage",
    RefusedInputError: "refused",
    IntegrityError: "integrity",
}
Answer = Callable[[bytes], bytes]


def serve(answer: Answer, arguments: Sequence[str]) -> int:
    """Answer until the parent closes the channel."""
    descriptor, terms = int(arguments[0]), msgspec.json.decode(arguments[1], type=Terms)
    _die_with(terms.parent)
    limit_resources(terms.bounds.memory_bytes + terms.bounds.headroom_bytes)
    confine_reader([Path(path) for path in terms.readable])
    with socket.socket(fileno=descriptor) as channel:
        channel.sendall(HEADER.pack(READY, 0))
        while True:
            head = _receive(channel, HEADER.size)
            if head is None:
                return ExitCode.ACCEPTED
            length = HEADER.unpack(head)[1]
            question = _receive(channel, length) if length <= _QUESTION_MAX else None
            if question is None:
                return ExitCode.FAILED
            limit_time(int(terms.bounds.wall_s) + 1)
            channel.sendall(_answered(answer, question))


def _answered(answer: Answer, question: bytes) -> bytes:
    """One frame. A reader's own bug is caught too: it says no more of the file than a crash."""
    try:
        body = answer(question)
        return HEADER.pack(ANSWER, len(body)) + body
    except DeployoptError as error:
        return _framed(_KINDS.get(type(error), "failed"), str(error))
    except MemoryError:
        return _framed("failed", "it needs more memory than it may take")
    except (KeyboardInterrupt, SystemExit):
        raise
    # Rust's panics come as a class of their own that is no Exception.
    except BaseException as error:  # noqa: BLE001
        return _framed("failed", f"{type(error).__name__}: {error}")


def _framed(kind: ErrorKind, message: str) -> bytes:
    body = msgspec.json.encode(Complaint(kind=kind, message=message[:20_000]))
    return HEADER.pack(ERROR, len(body)) + body


def _receive(channel: socket.socket, length: int) -> bytes | None:
    data = bytearray()
    while len(data) < length:
        part = channel.recv(length - len(data))
        if not part:
            return None
        data += part
    return bytes(data)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(ExitCode.FAILED)


def main_if(name: str, answer: Answer) -> None:
    """End a module with it: `main_if(__name__, answer)`."""
    if name == "__main__":
        sys.exit(serve(answer, sys.argv[1:]))
