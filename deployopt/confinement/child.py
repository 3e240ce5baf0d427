"""The other end of `confined`: a module of ours that reads a stranger's files says `serve(answer)`.

In: questions, on the descriptor that the first argument names. Out: answers, or errors by their
kind. Before the first question the process gives up what `confinement` says; it dies with its
parent.
"""

import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.confine import confine_reader, limit_resources, limit_time
from deployopt.confinement.parent import die_with, receive
from deployopt.confinement.reader import ANSWER, ERROR, HEADER, READY, Complaint, ErrorKind, Terms
from deployopt.core.errors import (
    DeployoptError,
    ExitCode,
    IntegrityError,
    RefusedInputError,
    UsageError,
)

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
    die_with(terms.parent)
    limit_resources(terms.bounds.memory_bytes + terms.bounds.headroom_bytes)
    confine_reader([Path(path) for path in terms.readable])
    with socket.socket(fileno=descriptor) as channel:
        channel.sendall(HEADER.pack(READY, 0))
        with suppress(EOFError):
            while True:
                length = HEADER.unpack(receive(channel, HEADER.size))[1]
                if length > _QUESTION_MAX:
                    return ExitCode.FAILED
                question = receive(channel, length)
                limit_time(int(terms.bounds.wall_s) + 1)
                channel.sendall(_answered(answer, question))
    return ExitCode.ACCEPTED


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


def main_if(name: str, answer: Answer) -> None:
    """End a module with it: `main_if(__name__, answer)`."""
    if name == "__main__":
        sys.exit(serve(answer, sys.argv[1:]))
