"""A model to a file in a step's working folder: one file, or one data file beside it over 2 GB.

Weights are written straight from the model, one at a time: protobuf's own serializer needs the
whole file in memory a second time and takes ten times as long.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, TypeAlias

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.sizes import tensor_bytes
from deployopt.graph.tensors import dense_tensors

MODEL_FILE: Final = "model.onnx"
EXTERNAL_ABOVE_BYTES: Final = 2_000_000_000
_INLINE_BELOW_BYTES: Final = 1024
_ALIGNMENT_BYTES: Final = 4096

_PLAIN_TYPES: Final = frozenset(
    {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.INT32,
        onnx.TensorProto.INT64,
        onnx.TensorProto.BOOL,
    }
)
_Message: TypeAlias = onnx.ModelProto | onnx.GraphProto | onnx.TensorProto
# Protobuf's length-delimited fields: number << 3 | 2.
_MODEL_GRAPH: Final = b"\x3a"
_GRAPH_INITIALIZER: Final = b"\x2a"
_TENSOR_RAW_DATA: Final = b"\x4a"


def save_onnx(
    model: onnx.ModelProto,
    path: Path,
    external_above_bytes: int = EXTERNAL_ABOVE_BYTES,
    beside: Mapping[str, Array] = MappingProxyType({}),
) -> None:
    """Write `model`; above the limit its weights go to `<name>.data`, and leave the model.

    Weights `beside` the model become initializers in the file and are never copied into it. The
    same model gives the same bytes.
    """
    size = sum(tensor_bytes(t) for t in dense_tensors(model))
    if size + sum(array.nbytes for array in beside.values()) > external_above_bytes:
        model.graph.initializer.extend(_as_tensor(*item) for item in beside.items())
        beside = {}
        _move_weights(model, path.with_name(path.name + ".data"))
    shell = onnx.ModelProto()
    _copy_fields(model, shell, leave="graph")
    graph = onnx.GraphProto()
    _copy_fields(model.graph, graph, leave="initializer")
    head = graph.SerializeToString(deterministic=True)
    arrays = [(_head_of_array(*item), item[1]) for item in beside.items()]
    length = len(head) + sum(_framed_size(tensor) for tensor in model.graph.initializer)
    length += sum(_field_size(_with_raw(own, array.nbytes)) for own, array in arrays)
    with path.open("wb") as file:
        file.write(shell.SerializeToString(deterministic=True))
        file.write(_MODEL_GRAPH + _varint(length))
        file.write(head)
        for tensor in model.graph.initializer:
            for piece in _framed(tensor):
                file.write(piece)
        for own, array in arrays:
            file.write(_GRAPH_INITIALIZER + _varint(_with_raw(own, array.nbytes)) + own)
            file.write(_TENSOR_RAW_DATA + _varint(array.nbytes))
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _as_tensor(name: str, array: Array) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(array, order="C"), name)


def _head_of_array(name: str, array: Array) -> bytes:
    """A tensor like the array, without its numbers."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    head = onnx.TensorProto(dims=array.shape, data_type=kind, name=name)
    serialized: bytes = head.SerializeToString(deterministic=True)
    return serialized


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
        if len(raw) != _raw_size(tensor):
            raise StepError(f"The weight {tensor.name!r} has {len(raw)} bytes, not its type's.")
        yield _TENSOR_RAW_DATA + _varint(len(raw))
        yield raw


def _framed_size(tensor: onnx.TensorProto) -> int:
    return _field_size(_body_size(tensor, _head(tensor)))


def _body_size(tensor: onnx.TensorProto, head: bytes) -> int:
    return _with_raw(head, _raw_size(tensor)) if tensor.HasField("raw_data") else len(head)


def _field_size(body: int) -> int:
    return len(_GRAPH_INITIALIZER) + len(_varint(body)) + body


def _with_raw(head: bytes, raw: int) -> int:
    return len(head) + len(_TENSOR_RAW_DATA) + len(_varint(raw)) + raw


def _raw_size(tensor: onnx.TensorProto) -> int:
    """Worked out where it can be: looking at raw_data copies it, and ByteSize serializes it."""
    if tensor.data_type in _PLAIN_TYPES:
        return tensor_bytes(tensor)
    return len(tensor.raw_data)


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
            if not tensor.HasField("raw_data") or _raw_size(tensor) < _INLINE_BELOW_BYTES:
                continue
            _append(file, tensor, data.name)


def _append(file: IO[bytes], tensor: onnx.TensorProto, location: str) -> None:
    file.write(b"\0" * (-file.tell() % _ALIGNMENT_BYTES))
    offset = file.tell()
    length = file.write(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
