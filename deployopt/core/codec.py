"""JSON and TOML to records and back: strict, canonical, every error with its key path."""

import json
import re
import tomllib
import unicodedata
from typing import Any, Final, TypeVar

import msgspec

from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.explain import explain
from deployopt.core.text import safe_text
from deployopt.core.units import Quantity

T = TypeVar("T")
SIZE_MAX: Final = 4 * 2**20
TOML_MAX: Final = 2**18
"""Bytes of a file that a person writes: more would take a second to read."""
DEPTH_MAX: Final = 32
_LINE_MAX: Final = 500
# A dotted key of more parts than the depth allows: tomllib needs memory as the square of them, so
# it is found before. Possessive, and started at word starts only, so that it runs in linear time.
_PART: Final = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DEEP_KEY: Final = re.compile(
    rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEPTH_MAX}}}"
)
_UNSHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


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
        raise IntegrityError(
            safe_text(f"{where} cannot be read: {explain(str(error), kind)}.", _LINE_MAX)
        ) from error


def decode_toml(data: bytes, kind: type[T], *, where: str) -> T:
    """Read a file that a person wrote.

    Raises:
        UsageError: one line, with the file, the key path and the nearest right word.
    """
    return convert_tree(read_toml(data, where=where), kind, where=where)


def read_toml(data: bytes, *, where: str) -> dict[str, object]:
    """The tables of a file that a person wrote, as they are; raises UsageError."""
    try:
        return _read_tree(data)
    except ValueError as error:
        raise UsageError(safe_text(f"{where}: {error}.", _LINE_MAX)) from error


def convert_tree(tree: dict[str, object], kind: type[T], *, where: str) -> T:
    """Tables that were read, or put together from several files, as a record.

    Raises:
        UsageError: as `decode_toml`.
    """
    try:
        return msgspec.convert(tree, kind, dec_hook=_decode_hook)
    except msgspec.ValidationError as error:
        message = explain(_with_key(str(error), tree, kind), kind)
    except ValueError as error:
        message = str(error)
    end = "" if message.endswith("?") else "."
    raise UsageError(safe_text(f"{where}: {message}{end}", _LINE_MAX))


def _read_tree(data: bytes) -> dict[str, object]:
    """The tables of a TOML text; raise ValueError with a reason that names a key or a line."""
    if len(data) > TOML_MAX:
        raise ValueError(f"the file is larger than {TOML_MAX} bytes")
    try:
        text = data.decode("utf-8")
        deep = _DEEP_KEY.search(text) is not None
        tree = {} if deep else tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise ValueError(f"the file is nested deeper than {DEPTH_MAX} levels") from error
    except ValueError as error:
        raise ValueError(f"the file is not valid TOML: {error}") from error
    if deep or _depth(tree) > DEPTH_MAX:
        raise ValueError(f"the file is nested deeper than {DEPTH_MAX} levels")
    _refuse_unshown(tree, "")
    return tree


def _refuse_unshown(node: object, path: str) -> None:
    """No text may hold a character that a terminal or an editor hides, or obeys."""
    if isinstance(node, dict):
        for key, value in node.items():
            _refuse_unshown(key, path or "a key")
            _refuse_unshown(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _refuse_unshown(value, f"{path}[{index}]")
    elif isinstance(node, str):
        hidden = next((c for c in node if unicodedata.category(c) in _UNSHOWN), None)
        if hidden is not None:
            raise ValueError(f"{path}: the text holds the hidden character U+{ord(hidden):04X}")


def _with_key(message: str, tree: object, kind: type) -> str:
    """Msgspec writes `[...]` for a key of a mapping: put the key that fails in its place."""
    before, sign, _ = message.partition("[...]")
    if not sign:
        return message
    path = before.rpartition("`$")[2].lstrip(".")
    node = tree
    for step in path.split(".") if path else ():
        node = node.get(step) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return message
    entries = dict(node)
    for key, value in entries.items():
        node.clear()
        node[key] = value
        try:
            msgspec.convert(tree, kind, dec_hook=_decode_hook)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return message.replace("[...]", f".{key}", 1)
    return message


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
