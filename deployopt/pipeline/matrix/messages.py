"""What a cell's process says while it works: one JSON object a line, on a descriptor of its own."""

import os
from typing import Final

import msgspec

from deployopt.core.matrix import MatrixWatcher
from deployopt.core.text import safe_text

LINE_MAX: Final = 4096
WAITING: Final = "waits to be alone"
"""The words by which a cell says that it stands still until others let it."""
_TEXT_MAX: Final = 500


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="stage"):
    """It came to this stage."""

    name: str
    quiet: bool = False


class Share(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="share"):
    """So much of the stage is done; `waits`: it stands still until others let it."""

    share: float
    words: str = ""
    waits: bool = False


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="note"):
    """A sentence to keep."""

    text: str


class Wants(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="wants"):
    """It asks for its turn on this board, or on any of its cell's; `waits`: stands in the line."""

    board: str | None = None
    waits: bool = False


class LetsGo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="lets-go"):
    """Its turn is over."""


Told = Stage | Share | Note
Message = Told | Wants | LetsGo
_DECODER: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(Message)


class Speaker:
    """A watcher in the cell's process that writes what it is told to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:  # noqa: ARG002 -- as in Told
        """A stage begins."""
        self._say(Stage(name=safe_text(name, _TEXT_MAX), quiet=quiet))

    def advance(self, share: float, words: str = "") -> None:
        """A share of it is done."""
        waits = words == WAITING
        self._say(Share(share=share, words=safe_text(words, _TEXT_MAX), waits=waits))

    def note(self, text: str) -> None:
        """One sentence that stays on the screen."""
        self._say(Note(text=safe_text(text, _TEXT_MAX)))

    def want(self, board: str | None, *, waits: bool) -> None:
        """It asks for a turn; whoever runs it answers."""
        self._say(Wants(board=board, waits=waits))

    def let_go(self) -> None:
        """Its turn is over."""
        self._say(LetsGo())

    def _say(self, message: Message) -> None:
        # Shorter than a pipe's atomic write, so that it is whole or not there.
        os.write(self._descriptor, msgspec.json.encode(message) + b"\n")


class Hearing:
    """Pieces of such lines put together; what is no line of ours is dropped."""

    def __init__(self) -> None:
        self._begun = b""

    def messages(self, data: bytes) -> list[Message]:
        """The whole lines that `data` completes."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        self._begun = self._begun[:LINE_MAX]
        found = []
        for line in lines:
            try:
                found.append(_DECODER.decode(line))
            except msgspec.MsgspecError:
                continue
        return found


def tell(cell: str, message: Message, watcher: MatrixWatcher) -> None:
    """Pass it on."""
    if isinstance(message, Stage):
        watcher.stage(cell, message.name, quiet=message.quiet)
    elif isinstance(message, Share):
        watcher.advance(cell, message.share, message.words)
    elif isinstance(message, Note):
        watcher.note(cell, message.text)
