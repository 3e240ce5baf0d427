"""A stranger's text that comes piece by piece, made safe for a terminal, its lines kept.

In: what a language model writes. Out: the same without characters that repaint a terminal, turn the
direction of writing around or hide what is said, and without commands to a CI service.
"""

import re
import unicodedata
from typing import Final

_KEPT: Final = frozenset("\n\t\u200c\u200d")
"""The last two join letters of Persian and of India, and the parts of an emoji."""
_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Co"})
_LINES: Final = {"\u2028": "\n", "\u2029": "\n"}
_MARKS_IN_A_ROW: Final = 4
"""Some writing needs three; a pile of them covers the lines above."""
_COMMANDS: Final = frozenset({(":", ":"), ("##", "[")})
_UNSEEN: Final = re.compile(r"[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_UNSEEN_HIGH: Final = re.compile(r"[\U000e0000-\U000e0fff]")


class FlowingText:
    """The state between two pieces; for one text, or one stream of them."""

    def __init__(self) -> None:
        self._marks = 0
        self._indent = True  # nothing but blanks stand on this line so far
        self._begun = ""  # of a command

    def safe(self, piece: str) -> str:
        """What of the next piece may be shown, and how."""
        return "".join(self._shown(_LINES.get(c, c)) for c in piece)

    def _shown(self, character: str) -> str:
        if character not in _KEPT and unicodedata.category(character) in _DROPPED:
            return ""
        self._marks = self._marks + 1 if unicodedata.combining(character) else 0
        if self._marks > _MARKS_IN_A_ROW:
            return ""
        return self._not_a_command(character)

    def _not_a_command(self, character: str) -> str:
        """CI services obey `::…` at the start of a line, and `##[…` anywhere: a blank parts it."""
        parted = (self._begun, character) in _COMMANDS
        if character == "#":
            self._begun = "##" if self._begun.startswith("#") else "#"
        else:
            self._begun = ":" if character == ":" and self._indent else ""
        self._indent = character == "\n" or (self._indent and character.isspace())
        return f" {character}" if parted else character


def safe_lines(text: str) -> str:
    """A whole text as `FlowingText` shows it."""
    return FlowingText().safe(text)


def escaped_json(data: bytes) -> bytes:
    """JSON that says the same, and in which no character that a terminal obeys or hides stands."""
    text = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", data.decode())
    return _UNSEEN_HIGH.sub(_pair, text).encode()


def _pair(found: re.Match[str]) -> str:
    """As JSON writes what lies above the first 65,536 characters."""
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in (0, 2))
