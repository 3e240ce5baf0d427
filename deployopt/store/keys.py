"""Cache keys: what a result was made from, as 256 bits.

Every value is framed with its type and length, so no two different inputs have the same bytes.
The order of fields does not count, the order of list entries does. `1`, `1.0`, `true` and `"1"`
are four different values. NaN and the infinities are refused: NaN is not equal to itself.
"""

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)

_DOMAIN = b"deployopt-key-1"


def cache_key(fields: Mapping[str, JsonValue]) -> str:
    """64 hex digits over named fields: step, version, options, digests, tools, target, seed.

    Raises ValueError on a number that is not finite and TypeError on what JSON does not know.
    """
    return hashlib.sha256(_frame(b"k", _DOMAIN) + encode(fields)).hexdigest()


def encode(value: JsonValue) -> bytes:
    """The one byte string that stands for `value`."""
    scalar = _scalar(value)
    if scalar is not None:
        return scalar
    if isinstance(value, Mapping):
        return _frame(b"m", b"".join(_pairs(value)))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return _frame(b"l", b"".join(encode(entry) for entry in value))
    raise TypeError(f"a cache key holds JSON values only, not {type(value).__name__}")


def frame_fields(parts: Iterable[bytes]) -> bytes:
    """Join byte strings so that where one ends and the next begins cannot be moved."""
    return b"".join(_frame(b"b", part) for part in parts)


def _scalar(value: JsonValue) -> bytes | None:
    if value is None or isinstance(value, bool):
        return _frame({None: b"n", True: b"t", False: b"f"}[value], b"")
    if isinstance(value, int):
        return _frame(b"i", b"%d" % value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a cache key cannot hold {value}: it is not a finite number")
        return _frame(b"d", struct.pack(">d", value))
    if isinstance(value, str):
        return _frame(b"s", value.encode())
    return None


def _pairs(fields: Mapping[str, JsonValue]) -> list[bytes]:
    for name in fields:
        if not isinstance(name, str):
            raise TypeError(f"a field's name is a string, not {type(name).__name__}")
    return [encode(name) + encode(fields[name]) for name in sorted(fields)]


def _frame(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(8, "big") + content
