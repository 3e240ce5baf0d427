"""Messages in protobuf's text form: names and values in, indented text out.

Text that a model brings is written byte by byte where it is not plain, so that no name can end a
string or begin a field.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

_QUOTED: Final = frozenset(b'"\\')
_PLAIN: Final = range(0x20, 0x7F)


class Word(msgspec.Struct, frozen=True):
    """A constant of an enumeration."""

    name: str


class Comment(msgspec.Struct, frozen=True):
    """A line for a person, before what follows."""

    text: str


Value: TypeAlias = "str | int | bool | Word | Sequence[int] | Message"
Field: TypeAlias = "tuple[str, Value] | Comment"


class Message(msgspec.Struct, frozen=True):
    """Fields in order; one that is repeated stands there several times."""

    fields: tuple[Field, ...]


def write_message(fields: Iterable[Field], depth: int = 0) -> str:
    """The text, with a newline at the end of each line."""
    return "".join(_written(field, "  " * depth, depth) for field in fields)


def _written(field: Field, indent: str, depth: int) -> str:
    if isinstance(field, Comment):
        return f"{indent}# {field.text}\n"
    name, value = field
    if isinstance(value, Message):
        return f"{indent}{name} {{\n{write_message(value.fields, depth + 1)}{indent}}}\n"
    return f"{indent}{name}: {_scalar(value)}\n"


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Word):
        return value.name
    if isinstance(value, str):
        return '"' + "".join(_byte(byte) for byte in value.encode()) + '"'
    if isinstance(value, int):
        return str(value)
    return f"[ {', '.join(str(item) for item in value)} ]" if isinstance(value, Sequence) else ""


def _byte(byte: int) -> str:
    if byte in _QUOTED:
        return f"\\{chr(byte)}"
    return chr(byte) if byte in _PLAIN else f"\\{byte:03o}"
