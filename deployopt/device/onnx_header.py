"""The versions that an ONNX file is stamped with, read without the ``onnx`` package.

In: a model file. Out: its IR version and its operator sets. Only the outermost fields of the
protocol buffer are looked at; the graph is stepped over by its length. Refuses what is not such a
file.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from deployopt.core.errors import RefusedInputError

_IR_VERSION: Final = 1
_OPSET_IMPORT: Final = 8
_DOMAIN: Final = 1
_VERSION: Final = 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT: Final = 10
_FIELDS_MAX: Final = 10_000
_SMALL: Final = 4096


class OnnxHeader(msgspec.Struct, frozen=True, kw_only=True):
    """IR version, and operator-set versions by domain; "" is the standard domain."""

    ir_version: int
    opsets: dict[str, int]


def read_onnx_header(path: Path) -> OnnxHeader:
    """Read the stamps of the model file at `path`.

    Raises:
        RefusedInputError: it is not an ONNX file.
    """
    ir_version, opsets = 0, {}
    try:
        with path.open("rb") as file:
            for number, value in fields(file, path.stat().st_size):
                if number == _IR_VERSION and isinstance(value, int):
                    ir_version = value
                elif number == _OPSET_IMPORT and isinstance(value, bytes):
                    domain, version = _opset(value)
                    opsets[domain] = version
    except (OSError, ValueError) as error:
        raise RefusedInputError(f"{path} is not an ONNX file: {error}.") from error
    if not ir_version or not opsets:
        raise RefusedInputError(f"{path} is not an ONNX file: it has no version.")
    return OnnxHeader(ir_version=ir_version, opsets=opsets)


def _opset(data: bytes) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in fields(io.BytesIO(data), len(data)):
        if number == _DOMAIN and isinstance(value, bytes):
            domain = value.decode("utf-8")
        elif number == _VERSION and isinstance(value, int):
            version = value
    return ("" if domain == "ai.onnx" else domain), version


def fields(
    file: BinaryIO, end: int, most: int = _FIELDS_MAX
) -> Iterator[tuple[int, int | bytes | range]]:
    """Field numbers with their values up to `end`; long byte fields are given as where they are.

    Raises:
        ValueError: it is no message, or has more than `most` fields.
    """
    for _ in range(most):
        if file.tell() == end:
            return
        key = _varint(file)
        kind = key & 7
        if kind == _VARINT:
            yield key >> 3, _varint(file)
        elif kind == _BYTES:
            yield key >> 3, _bytes(file, _varint(file), end)
        elif kind in {_FIXED64, _FIXED32}:
            _bytes(file, 8 if kind == _FIXED64 else 4, end)
        else:
            raise ValueError(f"field {key >> 3} has the unknown form {kind}")
    raise ValueError("it has too many fields")


def _bytes(file: BinaryIO, length: int, size: int) -> bytes | range:
    start = file.tell()
    end = start + length
    if end > size:
        raise ValueError("it ends in the middle of a field")
    if length <= _SMALL:
        return file.read(length)
    file.seek(end)
    return range(start, end)


def _varint(file: BinaryIO) -> int:
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends in the middle of a number")
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:  # noqa: PLR2004 -- the high bit says that more bytes follow
            return value
    raise ValueError("a number has too many bytes")
