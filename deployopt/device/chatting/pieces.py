"""Tokens become text as they come: whole characters, though a token may end within one.

In: token ids, one after another, and how ids are decoded. Out: what each adds to the text; nothing
as long as its last character is not whole.
"""

from collections.abc import Callable, Sequence
from typing import Final

_BROKEN: Final = "\ufffd"
"""What decoders write for bytes that are no character."""
_PENDING_MAX: Final = 4
"""No character of UTF-8 has more bytes, so that more tokens without an end are none."""


class Pieces:
    """The text of one answer."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        # What is decoded begins one piece early: a first token may lose its blank.
        self._start = 0
        self._done = 0

    def add(self, token: int) -> str:
        """What this token adds."""
        self._ids.append(token)
        new = self._new()
        if new.endswith(_BROKEN) and len(self._ids) - self._done < _PENDING_MAX:
            return ""
        if new:
            self._start, self._done = self._done, len(self._ids)
        return new

    def rest(self) -> str:
        """What is left of an answer that ended within a character."""
        new = self._new() if self._done < len(self._ids) else ""
        self._done = len(self._ids)
        return new

    def _new(self) -> str:
        before = self._decode(self._ids[self._start : self._done])
        return self._decode(self._ids[self._start :])[len(before) :]
