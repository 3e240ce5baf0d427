"""External data of an ONNX file: every location is checked, then read through the same descriptor.

A location must be a plain relative name under the model's folder, a regular file reached through
no link and with a single name, and every tensor's bytes must lie inside it.
"""

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
import onnx

from deployopt.graph.limits import refuse
from deployopt.graph.sizes import tensor_bytes
from deployopt.graph.tensors import dense_tensors, other_tensors

_KEYS: Final = frozenset({"location", "offset", "length", "checksum"})
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_REMEDY: Final = "Save the model as one file, or with one data file beside it in the same folder."
_MAX_DIGITS: Final = 18


class Span(msgspec.Struct, frozen=True):
    """Where a tensor's bytes are."""

    location: str
    offset: int
    length: int


def check_external(model: onnx.ModelProto, path: Path) -> None:
    """Raise RefusedInputError unless every external location of the model is safe; read nothing."""
    _spans(model, path)


def load_external(model: onnx.ModelProto, path: Path) -> None:
    """Check every location, then bring the bytes into the model's tensors."""
    spans = _spans(model, path)
    for tensor, span in spans:
        descriptor = _open(path, span.location)
        with os.fdopen(descriptor, "rb") as file:
            file.seek(span.offset)
            tensor.raw_data = file.read(span.length)
        if len(tensor.raw_data) != span.length:
            refuse(path, f"{span.location!r} shrank while it was read")
        tensor.ClearField("data_location")
        del tensor.external_data[:]


def external_files(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """The checked locations, sorted."""
    return tuple(sorted({span.location for _, span in _spans(model, path)}))


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the tensor says that its bytes are elsewhere."""
    external: bool = tensor.data_location == onnx.TensorProto.EXTERNAL
    return external


def _spans(model: onnx.ModelProto, path: Path) -> list[tuple[onnx.TensorProto, Span]]:
    for tensor in other_tensors(model):
        if is_external(tensor):
            refuse(path, "a sparse or training tensor has external data", _REMEDY)
    sizes: dict[str, int] = {}
    spans = [(t, _span(t, path, sizes)) for t in dense_tensors(model) if is_external(t)]
    # Many tensors over the same bytes would be a small file that fills the memory.
    if sum(span.length for _, span in spans) > sum(sizes.values()):
        refuse(path, "its tensors claim more bytes than its data files hold", _REMEDY)
    return spans


def _span(tensor: onnx.TensorProto, path: Path, sizes: dict[str, int]) -> Span:
    name = tensor.name[:64]
    entries = {entry.key: entry.value for entry in tensor.external_data}
    # Where the bytes are no UTF-8, the values are no texts.
    odd = not all(isinstance(value, str) for value in entries.values())
    if odd or len(entries) != len(tensor.external_data) or not set(entries) <= _KEYS:
        refuse(path, f"the external data of {name!r} has repeated or unknown keys", _REMEDY)
    location = entries.get("location", "")
    if location not in sizes:
        _check_location(location, path)
        descriptor = _open(path, location)
        sizes[location] = os.fstat(descriptor).st_size
        os.close(descriptor)
    needed = tensor_bytes(tensor)
    offset = _number(entries.get("offset", "0"), path)
    length = _number(entries.get("length", str(needed)), path)
    if length != needed or offset + length > sizes[location]:
        refuse(
            path,
            f"the tensor {name!r} needs {needed} bytes and points at {length} from {offset} in "
            f"{location!r}, which has {sizes[location]}",
        )
    return Span(location, offset, length)


def _number(text: str, path: Path) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        refuse(path, f"an offset or length of external data is {text[:32]!r}")
    return int(text)


def _check_location(location: str, path: Path) -> None:
    pure = PurePosixPath(location)
    plain = (
        bool(location)
        and str(pure) == location
        and not pure.is_absolute()
        and ".." not in pure.parts
        and location != "."
        and not any(ord(c) < ord(" ") or c in "\\:" for c in location)
    )
    if not plain:
        refuse(path, f"its external data is at {location[:128]!r}, outside its folder", _REMEDY)


def _open(path: Path, location: str) -> int:
    """A descriptor of a regular, singly named file, no part of whose path is a link."""
    parts = PurePosixPath(location).parts
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _OPEN | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        descriptor = os.open(parts[-1], _OPEN, dir_fd=folder)
    except OSError as error:
        refuse(path, f"its data file {location!r} cannot be opened ({error.strerror})", _REMEDY)
    finally:
        os.close(folder)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        refuse(path, f"its data file {location!r} is a link or not a regular file", _REMEDY)
    return descriptor
