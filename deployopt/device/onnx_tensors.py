"""What goes into an ONNX file's graph and what comes out, read without the ``onnx`` package.

In: a model file. Out: names, types and shapes as the file declares them. Nodes and weights are
stepped over; no runtime opens the model, so that a graph for a GPU is read where there is none.
"""

import io
from pathlib import Path
from typing import BinaryIO, Final

from deployopt.core.errors import RefusedInputError
from deployopt.core.text import safe_text
from deployopt.device.onnx_header import fields
from deployopt.device.tensors import Tensor, Tensors

_GRAPH: Final = 7
_INPUT, _OUTPUT = 11, 12
_NODES_MAX: Final = 2_000_000
_NAME_MAX: Final = 200
_SIZE_MAX: Final = 2**63
"""From here on a number is a negative one."""
_TYPES: Final[dict[int, str]] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
    16: "bfloat16",
}  # fmt: skip
"""TensorProto.DataType."""


def read_onnx_tensors(path: Path) -> Tensors:
    """The graph's inputs and outputs, in order.

    Raises:
        RefusedInputError: it is not an ONNX file, or has an input of a kind that is none of arrays.
    """
    try:
        with path.open("rb") as file:
            inputs, outputs = _declared(file, path.stat().st_size)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise RefusedInputError(f"{path} is not an ONNX file: {error}.") from error
    return Tensors(inputs=tuple(inputs), outputs=tuple(outputs))


def _declared(file: BinaryIO, size: int) -> tuple[list[Tensor], list[Tensor]]:
    found: dict[int, list[Tensor]] = {_INPUT: [], _OUTPUT: []}
    for number, value in fields(file, size):
        if number != _GRAPH or isinstance(value, int):
            continue
        inside: BinaryIO = file if isinstance(value, range) else io.BytesIO(value)
        if isinstance(value, range):
            file.seek(value.start)
        end = value.stop if isinstance(value, range) else len(value)
        for place, item in fields(inside, end, _NODES_MAX):
            if place in found and isinstance(item, bytes):
                found[place].append(_tensor(item))
    return found[_INPUT], found[_OUTPUT]


def _tensor(data: bytes) -> Tensor:
    """A ValueInfoProto."""
    parts = _messages(data)
    name = b"".join(parts.get(1, [])).decode("utf-8")
    kind = _messages(b"".join(parts.get(2, [])))
    if 1 not in kind:
        raise ValueError(f"{safe_text(name, _NAME_MAX)!r} is no array")
    declared = _messages(b"".join(kind[1]))
    number = _numbers(b"".join(kind[1])).get(1, 0)
    if number not in _TYPES:
        raise ValueError(f"{safe_text(name, _NAME_MAX)!r} has the unknown type {number}")
    shape = [_dimension(item) for item in _messages(b"".join(declared.get(2, []))).get(1, [])]
    return Tensor(name=name, dtype=_TYPES[number], shape=tuple(shape))


def _dimension(data: bytes) -> int | str:
    """A number, or a name where it may vary; "" where it has none."""
    size = _numbers(data).get(1, 0)
    if 0 < size < _SIZE_MAX:
        return size
    return b"".join(_messages(data).get(2, [])).decode("utf-8")


def _messages(data: bytes) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for number, value in fields(io.BytesIO(data), len(data)):
        if isinstance(value, bytes):
            found.setdefault(number, []).append(value)
    return found


def _numbers(data: bytes) -> dict[int, int]:
    return {
        number: value
        for number, value in fields(io.BytesIO(data), len(data))
        if isinstance(value, int)
    }
