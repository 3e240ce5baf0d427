"""The header of a safetensors file, read strictly; no tensor is loaded.

In: a path. Out: each tensor's type and shape. Refuses a file that is a pickle or an archive under
another name, and a header that is too long, is not JSON, or points outside the file.
"""

import math
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import RefusedInputError

HEADER_MAX_BYTES: Final = 25_000_000
TENSORS_MAX: Final = 100_000
_LENGTH_BYTES: Final = 8
_HEADER_MIN_BYTES: Final = 2
_ITEM_BITS: Final[Mapping[str, int]] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
_FLOATS: Final[Mapping[str, Precision]] = {
    "F32": Precision.FP32,
    "F16": Precision.FP16,
    "BF16": Precision.BF16,
}
# A pickle begins with its protocol, an archive of PyTorch is a zip file.
_PICKLE: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x1f\x8b")


class Tensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tensor as the header says."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def looks_like_pickle(start: bytes) -> bool:
    """Whether a file that starts so is a pickle, or an archive that may hold one."""
    return start.startswith(_PICKLE)


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        RefusedInputError: not such a file, or one that points outside itself.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise RefusedInputError(f"{path} is not a regular file.")
    with path.open("rb") as stream:
        start = stream.read(_LENGTH_BYTES)
        if looks_like_pickle(start):
            raise RefusedInputError(
                f"{path} is named as safetensors and holds a pickle or an archive, which can run "
                "code when it is read. Save the model again with safe_serialization=True."
            )
        length = int.from_bytes(start, "little")
        room = status.st_size - _LENGTH_BYTES
        if len(start) < _LENGTH_BYTES or not _HEADER_MIN_BYTES <= length <= min(
            HEADER_MAX_BYTES, room
        ):
            raise _refused(path, f"its header would have {length} bytes")
        header = stream.read(length)
    tensors = _decode(path, header)
    _check_layout(path, tensors, room - length)
    return tensors


def weight_precision(tensors: Mapping[str, Tensor]) -> Precision:
    """The precision of the floating-point tensors; of more than one kind it is mixed."""
    kinds = {tensor.dtype for tensor in tensors.values() if not tensor.dtype.startswith(("I", "U"))}
    kinds.discard("BOOL")
    if len(kinds) == 1:
        return _FLOATS.get(kinds.pop(), Precision.MIXED)
    return Precision.MIXED


def _decode(path: Path, header: bytes) -> dict[str, Tensor]:
    try:
        raw = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        raw.pop("__metadata__", None)
        if len(raw) > TENSORS_MAX:
            raise _refused(path, f"it lists {len(raw)} tensors")
        decoder = msgspec.json.Decoder(Tensor)
        return {name: decoder.decode(value) for name, value in raw.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(path, f"its header cannot be read ({error})") from error


def _check_layout(path: Path, tensors: Mapping[str, Tensor], data_bytes: int) -> None:
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        bits = _ITEM_BITS.get(tensor.dtype)
        if bits is None:
            raise _refused(path, f"{name!r} has the unknown type {tensor.dtype!r}")
        start, end = tensor.data_offsets
        if any(size < 0 for size in tensor.shape) or start != position or end > data_bytes:
            raise _refused(path, f"{name!r} lies outside the file or over another tensor")
        if (end - start) * 8 != math.prod(tensor.shape) * bits:
            raise _refused(path, f"{name!r} has another size than its shape says")
        position = end
    if position != data_bytes:
        raise _refused(path, f"{data_bytes - position} bytes belong to no tensor")


def _refused(path: Path, why: str) -> RefusedInputError:
    return RefusedInputError(f"{path} is not a safetensors file that can be trusted: {why}.")
