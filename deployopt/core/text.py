"""Text from outside, made safe to show on one line.

In: a file name, a label, a message. Out: the same on one line, without characters that repaint a
terminal or turn the direction of writing around, and without commands to a CI service.
"""

import re
import unicodedata
from collections.abc import Sequence
from enum import Enum
from typing import Final, TypeVar, cast

import msgspec

T = TypeVar("T")
LIMIT: Final = 2000
_NAME_MAX: Final = 40
_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_MARKS_IN_A_ROW: Final = 2
_BLANK: Final = re.compile(r"[\s\u2028\u2029]")
_SPACES: Final = re.compile(r" {2,}")
_COMMAND: Final = ((re.compile(r":(?=:)"), ": "), (re.compile(r"##(?=\[)"), "# #"))


def safe_text(text: str, limit: int = LIMIT) -> str:
    """`text` on one line of at most `limit` characters."""
    line = _BLANK.sub(" ", text[: 4 * limit])
    line = "".join(c for c in line if unicodedata.category(c) not in _DROPPED)
    line = _SPACES.sub(" ", _few_marks(line))
    for pattern, replacement in _COMMAND:
        line = pattern.sub(replacement, line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def name_list(names: Sequence[str], most: int = 6) -> str:
    """The first few names from outside, quoted and safe, and how many more there are."""
    shown = ", ".join(repr(safe_text(name, _NAME_MAX)) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def safe_record(record: T) -> T:
    """The record with every text in it safe; keys and enumerations stay as they are."""
    return cast("T", _safe(record))


def _safe(value: object) -> object:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else safe_text(value)
    if isinstance(value, msgspec.Struct):
        fields = value.__struct_fields__
        return msgspec.structs.replace(
            value, **{name: _safe(getattr(value, name)) for name in fields}
        )
    if isinstance(value, dict):
        return {safe_text(str(key)): _safe(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_safe(item) for item in value)
    if isinstance(value, list):
        return [_safe(item) for item in value]
    return value


def _few_marks(line: str) -> str:
    kept: list[str] = []
    run = 0
    for character in line:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)
