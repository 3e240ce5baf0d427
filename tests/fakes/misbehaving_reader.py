"""A reader that does what a stranger's file might make it do: the question says which."""

import ctypes
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deployopt.confinement.child import main_if
from deployopt.core.errors import IntegrityError, RefusedInputError, UsageError


class _Panic(BaseException):
    """As Rust's come through: no Exception."""


def _crash(_: str) -> bytes:
    ctypes.string_at(0)
    return b""


def _hang(_: str) -> bytes:
    while True:
        time.sleep(1)


def _spin(_: str) -> bytes:
    while True:
        pass


def _eat(_: str) -> bytes:
    return b"".join([os.urandom(1 << 20) for _at in range(100_000)])


def _flood(_: str) -> bytes:
    while True:
        sys.stdout.write("x" * 100_000)


def _usage(text: str) -> bytes:
    raise UsageError(text)


def _refuse(text: str) -> bytes:
    raise RefusedInputError(text)


def _integrity(text: str) -> bytes:
    raise IntegrityError(text)


def _panic(text: str) -> bytes:
    raise _Panic(text)


def _leave(_: str) -> bytes:
    sys.exit(0)


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _write(path: str) -> bytes:
    Path(path).write_bytes(b"written")
    return b"written"


def _connect(port: str) -> bytes:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=2):
        return b"connected"


def _fork(_: str) -> bytes:
    return str(os.fork()).encode()


def _run(_: str) -> bytes:
    os.execv("/bin/true", ["true"])  # noqa: S606 -- what is to be refused


def _kill(pid: str) -> bytes:
    os.kill(int(pid), 0)
    return b"reached"


def _thread(_: str) -> bytes:
    done = threading.Event()
    threading.Thread(target=done.set).start()
    return b"ran" if done.wait(5) else b""


def _environment(_: str) -> bytes:
    return ",".join(sorted(os.environ)).encode()


def _lie(_: str) -> bytes:
    os.write(int(sys.argv[1]), b"\x00\xff\xff\xff\xff")
    return b""


def _large(_: str) -> bytes:
    return bytes(4 << 20)


_WAYS: Final[Mapping[str, Callable[[str], bytes]]] = {
    name.removeprefix("_"): way
    for name, way in list(globals().items())
    if name.startswith("_") and callable(way) and not isinstance(way, type)
}


def answer(question: bytes) -> bytes:
    """`what` or `what argument`."""
    what, _, argument = question.decode().partition(" ")
    return question if what == "echo" else _WAYS[what](argument)


main_if(__name__, answer)
