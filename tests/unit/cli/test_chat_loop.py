"""Commands, Ctrl-C and transcripts, without a model."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from deployopt.cli.chat_loop import ChatLoop, Interrupts, require_file
from deployopt.core.errors import StorageError, UsageError
from deployopt.core.generation import Answer, Ended
from deployopt.device.chatting.conversation import Conversation


class Typed:
    """A side whose messages are a list; an exception in it is raised."""

    def __init__(self, *messages: str | type[BaseException], interactive: bool = True) -> None:
        self.interactive = interactive
        self._messages: Iterator[str | type[BaseException]] = iter(messages)
        self.shown: list[str] = []

    def opening(self, bundle: Path) -> None: ...

    def begin(self, conversation: Conversation) -> None: ...

    def ask(self) -> str:
        message = next(self._messages, EOFError)
        if isinstance(message, str):
            return message
        raise message

    def piece(self, text: str) -> None:
        self.shown.append(text)

    def end(self, message: str, answer: Answer) -> None:
        self.shown.append(f"[{message}: {answer.ended}]")

    def refused(self, message: str, error: UsageError) -> None:
        self.shown.append(f"<{message}: {error}>")

    def note(self, text: str) -> None:
        self.shown.append(f"({text})")


class Echo:
    """A conversation that says what it hears; `slow` presses Ctrl-C at each piece."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.last: Answer | None = None
        self.saved: list[Path] = []
        self.failing = False

    def stream(self, text: str, stopped: object) -> Iterator[str]:
        self.heard.append(text)
        if text == "long":
            raise UsageError("Too long.")
        ended = Ended.END
        for letter in text:
            if letter == "!":
                signal.raise_signal(signal.SIGINT)
            if stopped():  # type: ignore[operator] # it is called as the real one calls it
                ended = Ended.STOPPED
                break
            yield letter
        self.last = Answer(
            text=text, ended=ended, prompt_tokens=1, answer_tokens=1,
            first_token_s=0.1, tokens_per_s=None,
        )  # fmt: skip

    def reset(self) -> None:
        self.heard.append("RESET")

    def save(self, path: Path) -> None:
        if self.failing or path.name == "full":
            raise StorageError("The disk is full.")
        self.saved.append(path)


def chat(
    *messages: str | type[BaseException], transcript: Path | None = None, interactive: bool = True
) -> tuple[int, Sequence[str], Echo]:
    echo, side = Echo(), Typed(*messages, interactive=interactive)
    code = ChatLoop(cast("Conversation", echo), side, transcript).run()
    return code, side.shown, echo


def test_messages_are_answered_until_there_is_none() -> None:
    code, shown, _ = chat("a", "", "  ", "bc")
    assert (code, shown) == (0, ["a", "[a: end]", "b", "c", "[bc: end]", "\n"])


def test_commands_are_not_said_to_the_model() -> None:
    code, shown, echo = chat(
        "/reset", "/help", "/save /tmp/x", " /save y", "/usr/bin?", "/quit", "z"
    )
    assert code == 0
    assert echo.heard == ["RESET", " /save y", "/usr/bin?"]
    assert echo.saved == [Path("/tmp/x")]  # noqa: S108 -- nothing is written
    assert "(/reset: forget what was said)" in shown
    assert "(Written to /tmp/x)" in shown


def test_a_command_that_is_none_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, echo = chat("/sve x", "/save", "/save full", "/save ~nobody-here/x", "a")
    assert code == 0
    assert "There is no command /sve; /help lists" in shown[0]
    assert echo.heard == ["a"]
    said = " ".join(capsys.readouterr().err.split())
    assert "Name a file" in said
    assert "disk is full" in said
    assert "~nobody-here/x names a home" in said


def test_ctrl_c_at_the_prompt_twice_ends_the_chat() -> None:
    code, shown, echo = chat("a", KeyboardInterrupt, KeyboardInterrupt, "never")
    assert code == 0
    assert echo.heard == ["a"]
    assert "(Ctrl-C once more, or Ctrl-D, ends the chat.)" in shown
    _, _, echo = chat(KeyboardInterrupt, "a", KeyboardInterrupt, "", KeyboardInterrupt, "b")
    assert echo.heard == ["a", "b"]


def test_ctrl_c_stops_an_answer_and_not_the_chat() -> None:
    before = signal.getsignal(signal.SIGINT)
    code, shown, echo = chat("ab!cd", "ef")
    assert (code, echo.heard) == (0, ["ab!cd", "ef"])
    assert shown == ["a", "b", "[ab!cd: stopped]", "e", "f", "[ef: end]", "\n"]
    assert signal.getsignal(signal.SIGINT) is before


def test_in_a_pipe_ctrl_c_ends_the_command_and_the_transcript_is_written(tmp_path: Path) -> None:
    echo, side = Echo(), Typed("a", KeyboardInterrupt, interactive=False)
    with pytest.raises(KeyboardInterrupt):
        ChatLoop(cast("Conversation", echo), side, tmp_path / "t").run()
    assert echo.saved == [tmp_path / "t"] * 2
    with pytest.raises(KeyboardInterrupt):
        chat("a!b", interactive=False)


def test_a_message_that_is_refused_does_not_end_the_chat() -> None:
    assert chat("long", "a")[:2] == (0, ["<long: Too long.>", "a", "[a: end]", "\n"])
    # A script has to learn of it.
    assert chat("long", "a", interactive=False)[0] == 2


def test_a_transcript_that_cannot_be_written_is_told_at_the_end(tmp_path: Path) -> None:
    echo, side = Echo(), Typed("a", "b")
    echo.failing = True
    with pytest.raises(StorageError, match="disk is full"):
        ChatLoop(cast("Conversation", echo), side, tmp_path / "t").run()
    assert echo.heard == ["a", "b"]


def test_a_transcript_is_a_file(tmp_path: Path) -> None:
    require_file(tmp_path / "new")
    with pytest.raises(UsageError, match="--transcript"):
        require_file(tmp_path)


def test_a_wish_counts_from_the_message_on() -> None:
    interrupts = Interrupts()
    with interrupts.caught():
        signal.raise_signal(signal.SIGINT)
        assert interrupts.wished()
        interrupts.forget()
        assert not interrupts.wished()
        with pytest.raises(KeyboardInterrupt), interrupts.raised():
            signal.raise_signal(signal.SIGINT)
        assert not interrupts.wished()
