"""The two ways of talking: a person at a terminal, or lines through pipes.

In: messages, from the keyboard or from stdin. Out: answers on stdout as they come, made safe for a
terminal; what is said about them goes to stderr. Refuses lines that are not UTF-8 text.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from deployopt.core.codec import encode_json
from deployopt.core.errors import DeployoptError, UsageError
from deployopt.core.flowing_text import FlowingText, escaped_json
from deployopt.core.generation import Answer, ChatTurn, Ended
from deployopt.core.text import safe_text

if TYPE_CHECKING:
    from deployopt.device.chatting.conversation import Conversation

_LINE_MAX: Final = 4 * 2**20
"""Bytes of one line; more than the longest message that is read."""
_PROMPT: Final = "> "


class Side(Protocol):
    """Where messages come from and answers go."""

    interactive: bool

    def opening(self, bundle: Path) -> None:
        """The bundle is being checked, and the model opened."""
        ...

    def begin(self, conversation: "Conversation") -> None:
        """One may talk now."""
        ...

    def ask(self) -> str:
        """The next message; raises EOFError when there is none, KeyboardInterrupt for Ctrl-C."""
        ...

    def piece(self, text: str) -> None:
        """Show more of an answer."""
        ...

    def end(self, message: str, answer: Answer) -> None:
        """The answer is whole."""
        ...

    def refused(self, message: str, error: UsageError) -> None:
        """Nothing is answered to this message."""
        ...

    def note(self, text: str) -> None:
        """Something about the conversation."""
        ...


def side_for(*, plain: bool, json: bool) -> Side:
    """A person's side at a terminal, unless told otherwise."""
    if sys.stdin is None or sys.stdout is None:
        raise UsageError("There is no stdin or stdout to talk through.")
    _never_fail_on_letters()
    if json:
        return JsonSide()
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return PlainSide() if plain or not at_terminal else TerminalSide()


class PlainSide:
    """A line is a message, empty ones are passed over; answers and nothing else on stdout."""

    interactive = False

    def __init__(self) -> None:
        self._shown = FlowingText()
        self._line = 0

    def opening(self, bundle: Path) -> None:
        """Nothing is said of it."""

    def begin(self, conversation: "Conversation") -> None:
        """Only what one has to know."""
        for text in opening_notes(conversation):
            self.note(text)

    def ask(self) -> str:
        """The next line of stdin."""
        while True:
            line = sys.stdin.buffer.readline(_LINE_MAX + 1)
            self._line += 1
            if not line:
                raise EOFError
            if len(line) > _LINE_MAX:
                raise UsageError(f"Line {self._line} of stdin is longer than {_LINE_MAX} bytes.")
            try:
                text = line.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UsageError(
                    f"Line {self._line} of stdin is not UTF-8 text (byte {error.start})."
                ) from error
            if text.strip():
                return text.rstrip("\r\n")

    def piece(self, text: str) -> None:
        """As it comes."""
        _show(self._shown.safe(text))

    def end(self, message: str, answer: Answer) -> None:
        """A line's end."""
        del message
        self._shown = FlowingText()
        _show("\n")
        for text in closing_notes(answer):
            self.note(text)

    def refused(self, message: str, error: UsageError) -> None:
        """Said on stderr."""
        del message
        _say_error(error)

    def note(self, text: str) -> None:
        """A line on stderr."""
        sys.stderr.write(f"{safe_text(text)}\n")
        sys.stderr.flush()


class JsonSide(PlainSide):
    """The same, with an object a message on stdout, each on a line of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = 0

    def piece(self, text: str) -> None:
        """Shown when the answer is whole."""

    def end(self, message: str, answer: Answer) -> None:
        """The turn."""
        self._print(message, answer=answer)

    def refused(self, message: str, error: UsageError) -> None:
        """A turn without an answer."""
        self._print(message, error=str(error))
        super().refused(message, error)

    def _print(self, message: str, answer: Answer | None = None, error: str | None = None) -> None:
        self._turn += 1
        turn = ChatTurn(turn=self._turn, message=message, answer=answer, error=error)
        _show(f"{escaped_json(encode_json(turn)).decode()}\n")


class TerminalSide:
    """A prompt with line editing, answers below it."""

    interactive = True

    def __init__(self) -> None:
        self._shown = FlowingText()
        self._at_start = True
        _with_line_editing()

    def opening(self, bundle: Path) -> None:
        """The bundle's name; large ones take a while."""
        from deployopt.reports.layout import stderr_console, styled

        stderr_console().print(styled(safe_text(bundle.absolute().name, 78), "bold"))
        self.note("Checking the bundle and opening the model …")

    def begin(self, conversation: "Conversation") -> None:
        """How one gets out."""
        for text in opening_notes(conversation):
            self.note(text)
        self.note("/help lists what can be done, Ctrl-C stops an answer, Ctrl-D ends the chat.")

    def ask(self) -> str:
        """What is typed."""
        while True:
            try:
                return input(_PROMPT)
            except UnicodeDecodeError:
                self.note("What was typed is not UTF-8 text; nothing was sent.")

    def piece(self, text: str) -> None:
        """As it comes."""
        shown = self._shown.safe(text)
        if shown:
            self._at_start = shown.endswith("\n")
            _show(shown)

    def end(self, message: str, answer: Answer) -> None:
        """A line's end, and how fast it was."""
        del message
        self._close_line()
        for text in (*closing_notes(answer), *_speed(answer)):
            self.note(text)

    def refused(self, message: str, error: UsageError) -> None:
        """Said on stderr."""
        del message
        self._close_line()
        _say_error(error)

    def note(self, text: str) -> None:
        """Dim, so that it is told from what the model says."""
        from deployopt.reports.layout import stderr_console, styled

        stderr_console().print(styled(safe_text(text), "dim"))

    def _close_line(self) -> None:
        if not self._at_start:
            _show("\n")
        self._at_start = True
        self._shown = FlowingText()


def opening_notes(conversation: "Conversation") -> Sequence[str]:
    """What one has to know before the first message."""
    if conversation.has_turns:
        return ()
    why = conversation.why_no_turns
    what = f"chat template that can be used ({why})" if why else "chat template"
    return (f"The model has no {what}: it goes on with each text by itself, and knows no turns.",)


def closing_notes(answer: Answer) -> Sequence[str]:
    """What one would not see in the answer itself."""
    notes = []
    if answer.dropped_turns:
        turns = "turn was" if answer.dropped_turns == 1 else f"{answer.dropped_turns} turns were"
        notes.append(f"The context is full: the oldest {turns} left out.")
    if answer.ended is Ended.CONTEXT:
        notes.append("The context is full: the answer ends here.")
    elif answer.ended is Ended.LENGTH:
        notes.append(f"The answer ends here, after {answer.answer_tokens} tokens.")
    elif answer.ended is Ended.STOPPED:
        notes.append("Stopped.")
    return notes


def _speed(answer: Answer) -> Sequence[str]:
    if answer.first_token_s is None:
        return ()
    then = "" if answer.tokens_per_s is None else f", then {answer.tokens_per_s:.1f} a second"
    tokens = "1 token" if answer.answer_tokens == 1 else f"{answer.answer_tokens} tokens"
    return (f"{tokens}, the first after {answer.first_token_s:.2f} s{then}",)


def _say_error(error: DeployoptError) -> None:
    from deployopt.reports.terminal import print_error

    print_error(error)


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _never_fail_on_letters() -> None:
    """A terminal that has no Chinese shows question marks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _with_line_editing() -> None:
    """Arrows and earlier messages, where Python was built with them."""
    try:
        import readline  # noqa: F401 -- importing it is what input() asks for
    except ImportError:
        return
