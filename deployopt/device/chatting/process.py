"""The process that has the model, as the one sees it that talks with it.

In: a Setup and the room that a conversation has. Out: pieces of answers. Whatever becomes of the
process (a crash, a hang, a flood of output) is a DeviceError; it is stopped on every way out.
"""

import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Final

import msgspec

from deployopt.core.errors import DeployoptError, DeviceError, IntegrityError, UsageError
from deployopt.core.generation import Answer, Message, Sampling
from deployopt.device.chatting.words import (
    Answered,
    Failed,
    Open,
    Opened,
    Piece,
    Question,
    Reading,
    Refused,
    Reply,
    Say,
    Stop,
    decode_reply,
    frame,
)
from deployopt.device.machine import limits_here
from deployopt.device.setup import Limits, Setup
from deployopt.device.supervise import Watched, started

CHILD: Final = (sys.executable, "-P", "-m", "deployopt.device.chatting.child")
_QUIET_S: Final = 900.0
"""Of a large model that is opened from a slow card."""
_LOOK_S: Final = 0.05
"""Between two looks whether the answer is still wanted."""
_ERRORS: Final[dict[str, type[DeployoptError]]] = {
    "integrity": IntegrityError,
    "usage": UsageError,
}
Stopped = Callable[[], bool]


def never() -> bool:
    """Nobody stops the answer."""
    return False


class ModelProcess:
    """A model that is open in a process of its own; not for several threads at once."""

    def __init__(self, setup: Setup, context: int, command: Sequence[str] = CHILD) -> None:
        """Start the process and open the model.

        Raises:
            DeviceError, IntegrityError, UsageError: it cannot be opened here.
        """
        stack = ExitStack()
        self.close = weakref.finalize(self, stack.close)
        """Stops the process; also when nobody holds this any more."""
        try:
            self._child = _Child(*stack.enter_context(started(command)), _limits())
            self._child.bound(setup)
            opened = self._ask(Open(setup=setup, context=context))
        except BaseException:
            self.close()
            raise
        if not isinstance(opened, Opened):
            self.close()
            raise DeviceError("The model's process spoke out of turn.")
        self.opened = opened
        self.last: Answer | None = None

    def answer(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        fresh: bool,
        stopped: Stopped = never,
    ) -> Iterator[str]:
        """Pieces of the answer to the last message; `self.last` is all of it, after the last piece.

        `stopped` is asked about twenty times a second. Whoever leaves off early stops the answer.

        Raises:
            UsageError: nothing is answered to this message, and why.
            DeviceError: nothing more will be answered.
        """
        self.last = None
        self._child.tell(Say(messages=tuple(messages), sampling=sampling, fresh=fresh))
        said: list[str] = []
        try:
            yield from self._pieces(said, stopped)
        except (GeneratorExit, KeyboardInterrupt):
            for _ in self._pieces(said, _at_once):
                pass
            raise
        except DeployoptError as error:
            if not isinstance(error, UsageError):
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    def _pieces(self, said: list[str], stopped: Stopped) -> Iterator[str]:
        told = False
        while True:
            if not told and stopped():
                self._child.tell(Stop())
                told = True
            reply = self._child.hear(_LOOK_S)
            if isinstance(reply, Piece):
                said.append(reply.text)
                yield reply.text
            elif isinstance(reply, Answered):
                self.last = _whole("".join(said), reply)
                return
            elif reply is not None and not isinstance(reply, Reading):
                raise _error(reply)

    def _ask(self, question: Question) -> Reply:
        self._child.tell(question)
        while (reply := self._child.hear(_LOOK_S)) is None:
            pass
        if isinstance(reply, Failed):
            raise _error(reply)
        return reply


def _limits() -> Limits:
    """A chat may last for days; its memory is bounded as that of any model's process."""
    return msgspec.structs.replace(limits_here(), wall_s=float("inf"), quiet_s=_QUIET_S)


def _at_once() -> bool:
    return True


def _error(reply: Reply) -> DeployoptError:
    if isinstance(reply, Refused):
        return UsageError(reply.message)
    if isinstance(reply, Failed):
        return _ERRORS.get(reply.kind, DeviceError)(reply.message)
    return DeviceError("The model's process spoke out of turn.")


def _whole(text: str, reply: Answered) -> Answer:
    return Answer(
        text=text,
        ended=reply.ended,
        prompt_tokens=reply.prompt_tokens,
        kept_tokens=reply.kept_tokens,
        answer_tokens=reply.answer_tokens,
        first_token_s=reply.first_token_s,
        tokens_per_s=reply.tokens_per_s,
        dropped_turns=reply.dropped_turns,
    )


class _Child(Watched):
    """A child that is asked again and again, and may be idle for as long as one likes."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", channel: socket.socket, limits: Limits
    ) -> None:
        super().__init__(process, channel, limits)
        self._talking = channel

    def bound(self, setup: Setup) -> None:
        """Set the kernel's limits on it."""
        self._bound(on_card=setup.provider != "cpu")

    def tell(self, question: Question) -> None:
        """Send a question, or that no more is wanted."""
        self._heard = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            self._talking.sendall(frame(question))

    def hear(self, wait_s: float) -> Reply | None:
        """What it says next; None when nothing came within so long.

        Raises:
            DeviceError: it died, hangs, or prints without end.
        """
        self._look(0.0)
        body = self._whole_frame()
        if body is None and self._open:
            heard = self._look(wait_s)
            body = self._whole_frame()
            if body is None and not heard and self._process.poll() is not None:
                raise self._death()
        if body is not None:
            return decode_reply(body)
        if not self._open:
            raise self._death()
        self._check()
        return None
