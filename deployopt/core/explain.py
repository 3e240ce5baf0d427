"""What is wrong in a file, in words: the key path first, then the nearest right word.

In: msgspec's message and the record that was asked for. Out: one sentence without a full stop.
"""

import difflib
import re
import typing
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

_PATH: Final = re.compile(r" - at `(?P<key>key in )?`?\$?(?P<path>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>[^`]*)`")
_TYPES: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`")
_PATTERN: Final = re.compile(r"Expected `str` (?:matching regex|of length) .*", re.DOTALL)
_BOUND: Final = re.compile(r"Expected `(?P<wanted>\w+)` (?P<bound>[<>]=? \S+)")
_CHOICE: Final = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
_WORDS: Final[dict[str, str]] = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table of keys",
    "null": "nothing",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time of day",
}


def explain(message: str, kind: type) -> str:
    """Msgspec's message for a person, with the path of the key and the nearest right key."""
    found = _PATH.search(message)
    path = found["path"].lstrip(".") if found else ""
    text = message[: found.start()] if found else message
    unknown = _UNKNOWN.fullmatch(text)
    if unknown:
        return f"unknown key {_joined(path, unknown['key'])!r}{_hint(unknown['key'], path, kind)}"
    missing = _MISSING.fullmatch(text)
    if missing:
        return f"{_joined(path, missing['key'])} is missing"
    return f"{path or 'the file'}: {_in_words(text, path, kind)}"


def field_names(kind: type) -> set[str]:
    """Every key that a record or a record inside it can have."""
    return {name for record in _records(kind) for name in _fields(record)}


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, if any is."""
    return next(iter(difflib.get_close_matches(word[:80], sorted(known), n=1, cutoff=0.5)), None)


def _in_words(text: str, path: str, kind: type) -> str:
    types = _TYPES.fullmatch(text)
    if types:
        return f"expected {_type_words(types['wanted'])}, got {_type_words(types['got'])}"
    choice = _CHOICE.fullmatch(text)
    choices = [str(c) for item in _at(path, kind) for c in _literals(item)]
    if choice and choices:
        value = choice["value"].strip("'")
        close = nearest_word(value, choices)
        hint = f"; did you mean {close!r}?" if close else ""
        return f"{value!r} is none of {', '.join(choices)}{hint}"
    described = next((d for item in _at(path, kind) for d in _descriptions(item)), None)
    if _PATTERN.fullmatch(text) and described:
        return f"expected {described}"
    bound = _BOUND.fullmatch(text)
    if bound:
        return f"expected {_type_words(bound['wanted'])} {bound['bound']}"
    return text.replace("`", "")


def _type_words(types: str) -> str:
    return " or ".join(_WORDS.get(name, name) for name in types.split(" | "))


def _hint(key: str, path: str, kind: type) -> str:
    here = {name for item in _at(path, kind) for name in _fields(item)}
    close = nearest_word(key, here)
    if close:
        return f"; did you mean {close!r}?"
    elsewhere = field_names(kind) - here
    if key in elsewhere:
        return f"; {key!r} belongs in another table"
    close = nearest_word(key, elsewhere)
    return f"; did you mean {close!r}, in another table?" if close else ""


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _at(path: str, kind: object) -> list[object]:
    """The types that may stand at a path, unions taken apart."""
    here = list(_parts(kind))
    for step in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        inner: list[object] = []
        for item in here:
            if step.startswith("["):
                members = [m for m in getattr(item, "__args__", ()) if m is not ...]
                inner.extend(members[-1:])
            elif step in _fields(item):
                inner.append(_fields(item)[step])
        here = [part for item in inner for part in _parts(item)]
    return here


def _parts(kind: object) -> Iterator[object]:
    """The kind itself, and each member where it is a union."""
    yield kind
    origin = typing.get_origin(kind)
    if origin is typing.Annotated or origin is typing.Union or type(kind).__name__ == "UnionType":
        members = getattr(kind, "__args__", ())
        for member in members:
            yield from _parts(member)


def _fields(kind: object) -> dict[str, object]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    return {}


def _literals(kind: object) -> tuple[object, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _descriptions(kind: object) -> Iterator[str]:
    for note in getattr(kind, "__metadata__", ()):
        if isinstance(note, msgspec.Meta) and note.description:
            yield note.description


def _records(kind: object) -> Iterator[object]:
    seen: set[object] = set()
    todo: list[object] = [kind]
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        fields = _fields(item)
        if fields:
            yield item
        todo.extend(fields.values())
        todo.extend(getattr(item, "__args__", ()))
