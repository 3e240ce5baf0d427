"""A model to a file in a step's working folder: one file, or one data file beside it over 2 GB.

Weights are written straight from the model, one at a time: protobuf's own serializer needs the
whole file in memory a second time and takes ten times as long.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, TypeAlias

import onnx

from deployopt.graph.external import is_external
from deployopt.graph.sizes import tensor_bytes
from deployopt.graph.tensors import dense_tensors

MODEL_FILE: Final = "model.onnx"
EXTERNAL_ABOVE_BYTES: Final = 2_000_000_000
_INLINE_BELOW_BYTES: Final = 1024
_ALIGNMENT_BYTES: Final = 4096

_Message: TypeAlias = onnx.ModelProto | onnx.GraphProto | onnx.TensorProto
# Protobuf's length-delimited fields: number << 3 | 2.
_MODEL_GRAPH: Final = b"\x3a"
_GRAPH_INITIALIZER: Final = b"\x2a"
_TENSOR_RAW_DATA: Final = b"\x4a"


def save_onnx(
    model: onnx.ModelProto, path: Path, external_above_bytes: int = EXTERNAL_ABOVE_BYTES
) -> None:
    """Write `model`; above the limit its weights go to `<name>.data`, and leave the model.

    The same model gives the same bytes.
    """
    if sum(tensor_bytes(t) for t in dense_tensors(model)) > external_above_bytes:
        _move_weights(model, path.with_name(path.name + ".data"))
    shell = onnx.ModelProto()
    _copy_fields(model, shell, leave="graph")
    graph = onnx.GraphProto()
    _copy_fields(model.graph, graph, leave="initializer")
    head = graph.SerializeToString(deterministic=True)
    size = len(head) + sum(_framed_size(tensor) for tensor in model.graph.initializer)
    with path.open("wb") as file:
        file.write(shell.SerializeToString(deterministic=True))
        file.write(_MODEL_GRAPH + _varint(size))
        file.write(head)
        for tensor in model.graph.initializer:
            for piece in _framed(tensor):
                file.write(piece)


def _copy_fields(source: _Message, into: _Message, leave: str) -> None:
    """Copy every field that is set but `leave`."""
    for field, value in source.ListFields():
        if field.name == leave:
            continue
        if field.is_repeated:
            getattr(into, field.name).extend(value)
        elif field.message_type is not None:
            getattr(into, field.name).CopyFrom(value)
        else:
            setattr(into, field.name, value)


def _framed(tensor: onnx.TensorProto) -> Iterator[bytes]:
    """The tensor as a field of its graph, the numbers last and not copied with the rest."""
    head = _head(tensor)
    yield _GRAPH_INITIALIZER + _varint(_body_size(tensor, head)) + head
    if tensor.HasField("raw_data"):
        raw = tensor.raw_data
        yield _TENSOR_RAW_DATA + _varint(len(raw))
        yield raw


def _framed_size(tensor: onnx.TensorProto) -> int:
    body = _body_size(tensor, _head(tensor))
    return len(_GRAPH_INITIALIZER) + len(_varint(body)) + body


def _body_size(tensor: onnx.TensorProto, head: bytes) -> int:
    if not tensor.HasField("raw_data"):
        return len(head)
    raw = len(tensor.raw_data)
    return len(head) + len(_TENSOR_RAW_DATA) + len(_varint(raw)) + raw


def _head(tensor: onnx.TensorProto) -> bytes:
    """The tensor without its raw data."""
    if not tensor.HasField("raw_data"):
        whole: bytes = tensor.SerializeToString(deterministic=True)
        return whole
    head = onnx.TensorProto()
    _copy_fields(tensor, head, leave="raw_data")
    serialized: bytes = head.SerializeToString(deterministic=True)
    return serialized


def _varint(value: int) -> bytes:
    """Protobuf's variable-length integer: seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 seven bits
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _move_weights(model: onnx.ModelProto, data: Path) -> None:
    with data.open("wb") as file:
        for tensor in model.graph.initializer:
            if is_external(tensor) or len(tensor.raw_data) < _INLINE_BELOW_BYTES:
                continue
            _append(file, tensor, data.name)


def _append(file: IO[bytes], tensor: onnx.TensorProto, location: str) -> None:
    file.write(b"\0" * (-file.tell() % _ALIGNMENT_BYTES))
    offset, length = file.tell(), len(tensor.raw_data)
    file.write(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
