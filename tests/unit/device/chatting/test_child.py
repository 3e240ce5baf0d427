"""The process that has the model, spoken to directly."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deployopt.confinement.parent import receive
from deployopt.core.generation import Message, Sampling
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.chatting.words import (
    HEADER_BYTES,
    Answered,
    Failed,
    Open,
    Opened,
    Question,
    Refused,
    Reply,
    Say,
    Stop,
    decode_reply,
    frame,
)
from deployopt.device.protocol import frame_length
from tests.functional.conftest import child_environment


class Spoken:
    """A child, and what it answers."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "deployopt.device.chatting.child",
                    str(theirs.fileno()), str(Path("/proc/self").resolve().name)],
                pass_fds=[theirs.fileno()], cwd="/", env=child_environment(),
            )  # fmt: skip

    def ask(self, *questions: Question) -> Reply:
        for question in questions:
            self._channel.sendall(frame(question))
        while True:
            length = frame_length(receive(self._channel, HEADER_BYTES))
            reply = decode_reply(receive(self._channel, length))
            if isinstance(reply, Answered | Failed | Opened | Refused):
                return reply

    def end(self) -> int:
        self._channel.close()
        return self.process.wait(timeout=30)


def say(text: str) -> Say:
    return Say(messages=(Message(role="user", content=text),), sampling=Sampling(), fresh=False)


def test_a_stop_that_comes_too_late_stops_nothing(talking_bundle: Path) -> None:
    child = Spoken()
    opened = child.ask(Open(setup=open_bundle(talking_bundle).setup, context=256))
    assert isinstance(opened, Opened)
    assert isinstance(child.ask(say("x" * 300)), Refused)
    reply = child.ask(Stop(), say("Hello"))
    assert isinstance(reply, Answered)
    assert reply.answer_tokens > 10
    assert child.end() == 0


@pytest.mark.parametrize("questions", [(say("x"),), (Stop(),)])
def test_it_is_opened_first(questions: tuple[Question, ...]) -> None:
    child = Spoken()
    reply = child.ask(*questions)
    assert isinstance(reply, Failed)
    assert "before it was opened" in reply.message
    assert child.end() == 0
