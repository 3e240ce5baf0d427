"""A SentencePiece model written by hand: whole words, letters, and the three special pieces."""

import string
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
_BLANK: Final = "\u2581"
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3


def write_pieces(path: Path, words: Sequence[str], *, kind: int = 1, extra: bytes = b"") -> int:
    """The file; how many pieces it has. `kind` is 1 for unigrams."""
    pieces = [(PAD, 0.0, _CONTROL), (END, 0.0, _CONTROL), (UNKNOWN, 0.0, _UNKNOWN)]
    pieces += [(_BLANK + word, -1.0 - at / 100, _NORMAL) for at, word in enumerate(words)]
    pieces += [(letter, -12.0, _NORMAL) for letter in (_BLANK, *string.ascii_lowercase)]
    made = b"".join(_field(1, _piece(*piece)) for piece in pieces)
    made += _field(2, _number(3, kind) + _number(40, 2) + _number(42, 1) + _number(43, 0))
    made += _field(3, _field(1, b"identity"))
    path.write_bytes(made + extra)
    return len(pieces)


def _piece(text: str, score: float, kind: int) -> bytes:
    scored = _varint(2 << 3 | 5) + struct.pack("<f", score)
    return _field(1, text.encode()) + scored + _number(3, kind)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
