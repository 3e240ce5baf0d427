"""The resident process on a device that is reached from elsewhere: it answers one by one.

Started as `python -P -m deployopt.device.serving NONCE NUMBER ROOT`, with the connection on stdin
and stdout. In: words (device/framing.py), files by sha256. Out: what a fresh child answered, bound
to the nonce and to the very question; the file that the child wrote. It waits in the kernel, and it
and its child end when the connection does.
"""

import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from deployopt.core.codec import encode_json
from deployopt.core.errors import (
    DeployoptError,
    DeviceError,
    ExitCode,
    IntegrityError,
    RefusedInputError,
    StorageError,
    UsageError,
)
from deployopt.core.version import VERSION
from deployopt.device.checkup import check_up, look
from deployopt.device.conditions import THROTTLED_NOW, read_conditions
from deployopt.device.framing import Channel, ConnectionEndedError
from deployopt.device.in_turns import ask_in_turns
from deployopt.device.machine import describe_machine, limits_here
from deployopt.device.protocol import (
    Asking,
    Failed,
    Timing,
    Working,
    decode_request,
)
from deployopt.device.relocating import relocated
from deployopt.device.serving_words import (
    Answer,
    Answers,
    Ask,
    AskInTurns,
    CheckedUp,
    Have,
    Put,
    Question,
    Ready,
    bound_to,
    decode_word,
)
from deployopt.device.supervise import ask
from deployopt.device.transfer import take_file, tell_missing
from deployopt.store.receiving import Objects, ReceivingError, sha256_of
from deployopt.store.staging import staged_folder, sweep

IDLE_S: Final = 3600
"""A server that hears nothing for so long ends: nobody may be left to ask it."""
OBJECTS_MOST_BYTES: Final = 8 * 2**30
OBJECTS_MOST_SHARE: Final = 0.25
"""Of the disk: what is kept from one connection to the next must not fill a small card."""
_HANG_UP: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR
_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)
_LAST_RESORT_S: Final = 10.0


class _EndedError(BaseException):
    """The connection ended in the middle of a question; not an error to be answered."""


def main(arguments: Sequence[str]) -> int:
    """Serve one connection; the exit code says nothing."""
    nonce, number, root = arguments[0], int(arguments[1]), Path(arguments[2])
    channel = Connection(0, _own_output(), nonce)
    _end_with_connection()
    runs = root / "runs"
    runs.mkdir(mode=0o700, exist_ok=True)
    sweep(runs)
    try:
        with staged_folder(runs) as folder:
            server = Server(channel, Objects(root), folder)
            server.ready(number)
            while server.answer_one():
                pass
    except (ConnectionEndedError, _EndedError):
        pass
    return ExitCode.ACCEPTED


class Connection(Channel):
    """A channel whose end is met once: here or by the signal, not by both."""

    def _read(self, wanted: bytes) -> bytes:
        try:
            return super()._read(wanted)
        except ConnectionEndedError:
            _disarm()
            raise

    def _write(self, data: bytes) -> None:
        try:
            super()._write(data)
        except ConnectionEndedError:
            _disarm()
            raise


class Server:
    """One connection's questions, and the folder in which its files have names."""

    def __init__(self, channel: Channel, objects: Objects, folder: Path) -> None:
        self._channel = channel
        self._objects = objects
        self._folder = folder
        disk = shutil.disk_usage(objects.root).total
        objects.trim(min(OBJECTS_MOST_BYTES, int(OBJECTS_MOST_SHARE * disk)))

    def ready(self, number: int) -> None:
        """Say what this machine is."""
        reading = read_conditions()
        flags = reading.throttle_flags or 0
        ready = Ready(
            version=VERSION, machine=describe_machine(), throttled=bool(flags & THROTTLED_NOW)
        )
        self._say(number, "ready", ready)

    def answer_one(self) -> bool:
        """Wait for a question and answer it; False when none came for too long."""
        if not select.select([0], [], [], IDLE_S)[0]:
            return False
        question = decode_word(self._channel.hear(), Question)
        try:
            self._answer(question)
        except ReceivingError as error:
            self._fail(question.number, error.kind, str(error))
        except (IntegrityError, RefusedInputError) as error:
            self._fail(question.number, "integrity", str(error))
        except UsageError as error:
            self._fail(question.number, "usage", str(error))
        except StorageError as error:
            self._fail(question.number, "storage", str(error))
        except DeployoptError as error:
            self._fail(question.number, "device", str(error))
        except OSError as error:
            self._fail(question.number, "storage", f"{error.filename}: {error.strerror}.")
        return True

    def _answer(self, question: Question) -> None:
        number = question.number
        if question.op == "have":
            digests = decode_word(question.body, Have).digests
            tell_missing(self._channel, number, self._objects, digests)
        elif question.op == "put":
            put = decode_word(question.body, Put)
            take_file(self._channel, number, self._objects, put.sha256, put.size)
        elif question.op == "limits":
            self._say(number, "limits", limits_here())
        elif question.op == "check-up":
            found = check_up(describe_machine(runtime=False), look(self._objects.root))
            self._say(number, "checked-up", CheckedUp(findings=found))
        elif question.op == "ask":
            self._ask(number, bytes(question.body))
        elif question.op == "ask-in-turns":
            self._ask_in_turns(number, bytes(question.body))
        else:
            raise DeviceError("The server was asked what it does not know.")

    def _ask(self, number: int, body: bytes) -> None:
        """Place the files, ask a fresh child, and send back what it wrote."""
        question = decode_word(body, Ask)
        self._place(question)

        def sign(working: Working) -> None:
            self._say(number, "working", working)

        with staged_folder(self._folder) as results:
            asked = decode_request(bytes(question.request))
            request = relocated(asked, self._inside, results / "outputs.npz")
            reply = ask(request, question.limits, sign)
            result = request.result if isinstance(request, Asking) else None
            self._say(
                number,
                "answer",
                Answer(
                    bound=bound_to(self._channel.nonce, number, body),
                    reply=reply,
                    size=0 if result is None else result.stat().st_size,
                    sha256="" if result is None else sha256_of(result),
                ),
            )
            if result is not None:
                descriptor = os.open(result, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    self._channel.send_file(descriptor)
                finally:
                    os.close(descriptor)

    def _ask_in_turns(self, number: int, body: bytes) -> None:
        """Place the files, and let fresh children take turns."""
        question = decode_word(body, AskInTurns)
        requests: list[Timing] = []
        for one in question.asks:
            self._place(one)
            asked = decode_request(bytes(one.request))
            request = relocated(asked, self._inside, self._folder / "none")
            if not isinstance(request, Timing):
                raise DeviceError("Only what is timed takes turns.")
            requests.append(request)

        def sign(working: Working) -> None:
            self._say(number, "working", working)

        replies = tuple(
            Failed(message=str(reply)) if isinstance(reply, DeviceError) else reply
            for reply in ask_in_turns(requests, question.limits, sign)
        )
        bound = bound_to(self._channel.nonce, number, body)
        self._say(number, "answers", Answers(bound=bound, replies=replies))

    def _place(self, question: Ask) -> None:
        for placed in question.files:
            self._objects.place(placed.sha256, self._inside(placed.path))

    def _inside(self, path: Path) -> Path:
        """A relative path of the question, in this connection's folder."""
        if path.is_absolute() or ".." in path.parts:
            raise IntegrityError("A file of the question lies outside of its folder.")
        return self._folder / path

    def _say(self, number: int, op: str, body: object) -> None:
        self._channel.say(number, op, encode_json(body))

    def _fail(self, number: int, kind: str, message: str) -> None:
        self._channel.tell(number, "failed", kind=kind, message=message)


def _own_output() -> int:
    """The connection's writing end, out of reach of whatever prints: that goes to stderr."""
    descriptor = os.dup(1)
    os.dup2(2, 1)
    os.set_inheritable(descriptor, False)  # noqa: FBT003 -- the function takes it so
    return descriptor


def _disarm() -> None:
    """A second end would break off the cleaning up after the first."""
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)


def _end_with_connection() -> None:
    """Leave whatever is being done as soon as the other side is gone; the child's group goes too.

    A thread waits in the kernel for that, and the signal that it sends unwinds the question.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        _disarm()
        raise _EndedError

    def watch() -> None:
        poll = select.poll()
        poll.register(0, _HANG_UP)
        poll.poll()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_RESORT_S)
        os._exit(ExitCode.FAILED)

    for number in _ENDINGS:
        signal.signal(number, end)
    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
