"""Builds that start at once: a process that has imported everything, and forks for each.

`python -m tests.faults.warm`, with the shim loaded. In: a line of JSON for each thing to do, on
stdin. Out: a line each, on stdout. The forked process is the command itself, main() and all; only
its measurements are hurried and, where asked, made without children: the same code answers the
examples in the same process, so that its writing is counted too, and rounds are made up.
"""

import contextlib
import ctypes
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final

import msgspec
import pytest

from deployopt.cli.main import main as command
from deployopt.confinement.reader import Reader
from deployopt.core.errors import DeviceError
from deployopt.device import child
from deployopt.device.device import Signs, ThisMachine, one_by_one, unheard
from deployopt.device.protocol import Evaluated, Failed, Request, Timed, TimeRequest, Timing
from deployopt.device.setup import Limits
from deployopt.device.supervise import _ERRORS
from deployopt.pipeline import preparing
from tests.fakes import hurried
from tests.fakes.comparing import MIB, one_round

NONE: Final = 0
_PACKAGES: Final = ("deployopt", "onnx", "onnxruntime", "numpy", "google", "jinja2", "tokenizers")
_PR_SET_PDEATHSIG: Final = 1
_ROUND_REQUESTS: Final = 60


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The N-th call that changes `folders`, and what happens to it (see shim.c)."""

    folders: tuple[str, ...]
    at: int = NONE
    kind: str = ""
    trace: str = ""


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """Fork a command; its output goes to `folder`/out and err, its count of calls to count."""

    words: tuple[str, ...]
    folder: str
    fault: Fault | None = None
    alone: bool = True
    """Without children."""


class Wait(msgspec.Struct, frozen=True, kw_only=True, tag="wait"):
    """Wait for the end of one of them."""

    pid: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The process that was started, or how it ended: its exit code, or minus its signal."""

    number: int


Asked = Start | Wait


class Alone(ThisMachine):
    """This machine, answering in this very process; the clock is made up."""

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        del limits, signs
        if isinstance(request, TimeRequest):
            return Timed(round=one_round(0.001, 90 * MIB, requests=_ROUND_REQUESTS))
        said: list[object] = []
        reply = child.answer(request, said.append)
        if isinstance(reply, Failed):
            raise _ERRORS[reply.kind](reply.message)
        assert isinstance(reply, Evaluated)
        return reply

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        return one_by_one(self, requests, limits, signs)


def without_children(patch: pytest.MonkeyPatch) -> None:
    """Answer and read in this process, so that it is quick and all that is written counts."""

    def ask(reader: Reader, question: bytes) -> bytes:
        answered: bytes = import_module(reader._module).answer(question)
        return answered

    patch.setattr(preparing, "ThisMachine", Alone)
    patch.setattr(Reader, "ask", ask)


def serve() -> None:
    """Answer line after line, until there are no more."""
    with pytest.MonkeyPatch.context() as patch:
        hurried.hurry(patch)
        for line in sys.stdin:
            asked = msgspec.json.decode(line, type=Asked)
            if isinstance(asked, Start):
                number = _start(asked)
            else:
                number = os.waitstatus_to_exitcode(os.waitpid(asked.pid, 0)[1])
            sys.stdout.write(msgspec.json.encode(Reply(number=number)).decode() + "\n")
            sys.stdout.flush()


def _start(asked: Start) -> int:
    server = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != server:
            os._exit(98)
        code = _run(asked)
    finally:
        os._exit(code)


def _run(asked: Start) -> int:
    folder = Path(asked.folder)
    os.setsid()
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", write_through=True)
    with pytest.MonkeyPatch.context() as patch:
        if asked.alone:
            without_children(patch)
        with _armed(asked.fault, folder / "count"):
            (folder / "ready").touch()
            try:
                command(list(asked.words))
            except SystemExit as end:
                return int(end.code or 0)


@contextmanager
def _armed(fault: Fault | None, count: Path) -> Iterator[None]:
    if fault is None:
        yield
        return
    shim = ctypes.CDLL(None)
    given = (":".join(fault.folders), fault.kind, fault.trace)
    folders, kind, trace = (text.encode() for text in given)
    shim.shim_arm(folders, ctypes.c_long(fault.at), kind, trace)
    try:
        yield
    finally:
        shim.shim_count.restype = ctypes.c_long
        calls = shim.shim_count()
        shim.shim_arm(b"", ctypes.c_long(NONE), b"", b"")
        count.write_text(str(calls))


def warm_up(words: tuple[str, ...], folder: Path) -> None:
    """Import what one such command imports, without opening a model here: that would leave threads.

    Raises:
        RuntimeError: the command failed.
    """
    names = folder / "modules"
    pid = os.fork()
    if pid == 0:
        code = _run(Start(words=words, folder=str(folder)))
        names.write_text("\n".join(sys.modules))
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in {0, 3}:
        raise RuntimeError(f"{code}: {(folder / 'err').read_text()}")
    for name in names.read_text().splitlines():
        if name.split(".", 1)[0] in _PACKAGES and name != "tests.faults.warm":
            with contextlib.suppress(ImportError):
                import_module(name)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as hurry:
        hurried.hurry(hurry)
        warm_up(tuple(sys.argv[2:]), place)
    serve()
