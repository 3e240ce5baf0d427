"""Message after message until there is none: commands, Ctrl-C, transcripts.

In: a conversation and the side that one talks on. Out: the exit code. Ctrl-C stops an answer; at
the prompt, a second one ends the chat.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from deployopt.cli.chat_sides import Side
from deployopt.core.errors import DeployoptError, ExitCode, StorageError, UsageError

if TYPE_CHECKING:
    from deployopt.device.chatting.conversation import Conversation

_HELP: Final = (
    "/reset: forget what was said",
    "/save FILE: write what was said, as JSON Lines",
    "/quit: end the chat; so does Ctrl-D",
    "/help: this list",
)
_COMMANDS: Final = ("/reset", "/save", "/quit", "/help")
_AGAIN: Final = "Ctrl-C once more, or Ctrl-D, ends the chat."


class ChatLoop:
    """One chat."""

    def __init__(
        self, conversation: "Conversation", side: Side, transcript: Path | None = None
    ) -> None:
        self._conversation = conversation
        self._side = side
        self._transcript = transcript
        self._interrupts = Interrupts()
        self._refused = 0

    def run(self) -> int:
        """Until the messages end.

        Raises:
            DeviceError: the model's process failed.
            StorageError: the transcript cannot be written.
        """
        try:
            if self._side.interactive:
                with self._interrupts.caught():
                    self._go_on()
            else:
                self._go_on()
        finally:
            self._write()
        # A script has to learn that not every line was answered.
        return ExitCode.USAGE if self._refused and not self._side.interactive else ExitCode.ACCEPTED

    def _go_on(self) -> None:
        while (message := self._next()) is not None:
            if _is_command(message):
                self._obey(message)
            else:
                self._answer(message)

    def _next(self) -> str | None:
        """The next message that says something; None at the end."""
        stopped = False
        while True:
            try:
                with self._interrupts.raised():
                    message = self._side.ask()
            except EOFError:
                self._leave_line()
                return None
            except KeyboardInterrupt:
                if not self._side.interactive:
                    raise
                self._leave_line()
                if stopped:
                    return None
                stopped = True
                self._side.note(_AGAIN)
                continue
            if message.split()[:1] == ["/quit"]:
                return None
            if message.strip():
                return message
            stopped = False

    def _answer(self, message: str) -> None:
        self._interrupts.forget()
        try:
            for piece in self._conversation.stream(message, self._interrupts.wished):
                self._side.piece(piece)
        except UsageError as error:
            self._refused += 1
            self._side.refused(message, error)
            return
        answer = self._conversation.last
        if answer is not None:
            self._side.end(message, answer)
        # For whoever kills the chat. What went wrong with it is said at the end.
        with suppress(StorageError, UsageError):
            self._write()

    def _obey(self, message: str) -> None:
        name, _, rest = message.strip().partition(" ")
        if name == "/reset":
            self._conversation.reset()
            self._side.note("What was said is forgotten.")
        elif name == "/save":
            self._save(rest.strip())
        elif name == "/help":
            for line in _HELP:
                self._side.note(line)
        else:
            self._refused += 1
            self._side.refused(
                message,
                UsageError(
                    f"There is no command {name}; /help lists those there are. To say this to the "
                    "model, put a blank before it."
                ),
            )

    def _save(self, name: str) -> None:
        try:
            path = _path_of(name)
            self._conversation.save(path)
        except (UsageError, StorageError) as error:
            self._refused += 1
            self._complain(error)
        else:
            self._side.note(f"Written to {path}")

    def _complain(self, error: DeployoptError) -> None:
        from deployopt.reports.terminal import print_error

        print_error(error)

    def _write(self) -> None:
        if self._transcript is not None:
            self._conversation.save(self._transcript)

    def _leave_line(self) -> None:
        if self._side.interactive:
            self._side.piece("\n")


class Interrupts:
    """Ctrl-C at a terminal: while one is asked it interrupts; else it is a wish, kept."""

    def __init__(self) -> None:
        self._raises = False
        self._wished = False

    def wished(self) -> bool:
        """Whether it was pressed since `forget`."""
        return self._wished

    def forget(self) -> None:
        """What was pressed before does not count."""
        self._wished = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Within, this decides what Ctrl-C does."""
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Within, it is a KeyboardInterrupt."""
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        if self._raises:
            raise KeyboardInterrupt
        self._wished = True


def require_file(path: Path) -> None:
    """Raise UsageError where no file can be written; better before the chat than after it."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file. Name one with --transcript.")


def _path_of(name: str) -> Path:
    if not name:
        raise UsageError("Name a file: /save FILE")
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{name} names a home that is not here.") from error


def _is_command(message: str) -> bool:
    """A first word such as /save; a path such as /usr/bin is none, nor is what follows a blank."""
    word = message.split(maxsplit=1)[0]
    return message.startswith("/") and (word in _COMMANDS or word[1:].isalpha())
