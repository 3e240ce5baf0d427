"""JSON and TOML to records and back: strict, canonical, every error with its key path."""

import difflib
import json
import re
import tomllib
from typing import Any, Final, TypeVar

import msgspec

from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.units import Quantity

T = TypeVar("T")
SIZE_MAX: Final = 4 * 2**20
DEPTH_MAX: Final = 32


def _decode_hook(kind: type, value: object) -> object:
    if issubclass(kind, Quantity):
        return kind.parse(value)
    raise ValueError(f"{kind.__name__} cannot be read")


def _encode_hook(value: object) -> object:
    if isinstance(value, Quantity):
        return value.written()
    if hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written")


def encode_json(value: object) -> bytes:
    """Canonical JSON: keys sorted, no spaces, the same value gives the same bytes."""
    return msgspec.json.encode(value, enc_hook=_encode_hook, order="sorted")


def encode_pretty(value: object) -> bytes:
    """The same for a person: indented, with a newline at the end."""
    return msgspec.json.format(encode_json(value), indent=2) + b"\n"


def decode_json(data: bytes, kind: type[T], *, where: str) -> T:
    """Read a record that deployopt wrote.

    Raises:
        IntegrityError: not JSON, too large or deep, or not of this form; says where.
    """
    if len(data) > SIZE_MAX * 16:
        raise IntegrityError(f"{where} has {len(data)} bytes, more than deployopt reads.")
    try:
        return msgspec.json.decode(data, type=kind, dec_hook=_decode_hook)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{where} cannot be read: {explain(str(error), kind)}.") from error


def decode_toml(data: bytes, kind: type[T], *, where: str) -> T:
    """Read a file that a person wrote.

    Raises:
        UsageError: with the file, the key path and the nearest right word.
    """
    if len(data) > SIZE_MAX:
        raise UsageError(f"{where} has {len(data)} bytes; such a file has at most {SIZE_MAX}.")
    try:
        tree = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text (byte {error.start}).") from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{where} is not valid TOML: {error}.") from error
    if _depth(tree) > DEPTH_MAX:
        raise UsageError(f"{where} is nested deeper than {DEPTH_MAX} levels.")
    try:
        return msgspec.convert(tree, kind, dec_hook=_decode_hook)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {explain(str(error), kind)}.") from error


def to_plain(value: object) -> Any:  # noqa: ANN401 -- JSON is any of six types
    """The JSON values of a record, for a cache key or a template."""
    return json.loads(encode_json(value))


def _depth(tree: object) -> int:
    level, depth = [tree], 0
    while level and depth <= DEPTH_MAX:
        depth += 1
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return depth


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `(?P<path>[^`]*)`)?")


def explain(message: str, kind: type) -> str:
    """Msgspec's message with the key path first and the nearest right key behind."""
    unknown = _UNKNOWN.search(message)
    if unknown:
        parent = (unknown["path"] or "$").removeprefix("$").lstrip(".")
        path = f"{parent}.{unknown['key']}" if parent else unknown["key"]
        close = difflib.get_close_matches(
            unknown["key"], sorted(field_names(kind)), n=1, cutoff=0.5
        )
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"unknown key {path!r}{hint}".removesuffix("?") + ("?" if close else "")
    text, sign, path = message.rpartition(" - at `$")
    if not sign:
        return message
    return f"{path.rstrip('`').lstrip('.') or 'the file'}: {text}"


def field_names(kind: type) -> set[str]:
    """Every key that a record or a record inside it can have."""
    names: set[str] = set()
    seen: set[object] = set()
    todo: list[object] = [kind]
    while todo:
        item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, type) and issubclass(item, msgspec.Struct):
            for field in msgspec.structs.fields(item):
                names.add(field.encode_name)
                todo.append(field.type)
        todo.extend(getattr(item, "__args__", ()))
    return names
