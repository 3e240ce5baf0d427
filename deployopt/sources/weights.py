"""The header of a safetensors file, read strictly; no tensor is loaded.

In: a path, or the bytes of a header and of the data behind it. Out: each tensor's type and shape.
Refuses a file that is a pickle or an archive under another name, and a header that is too long, is
not JSON, names a tensor twice, or points outside the file. A pointer that Git LFS leaves in a
file's place is told as one.
"""

import json
import math
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import RefusedInputError, UsageError

HEADER_MAX_BYTES: Final = 100_000_000
"""As the format's own reader has it."""
TENSORS_MAX: Final = 100_000
# An object a tensor, the whole, the metadata; a few more may stand in names.
_OBJECTS_MAX: Final = TENSORS_MAX + 1_000
RANK_MAX: Final = 32
SIZE_MAX: Final = 2**63 - 1
LENGTH_BYTES: Final = 8
_HEADER_MIN_BYTES: Final = 2
_NAME_SHOWN: Final = 100
_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_ITEM_BITS: Final[Mapping[str, int]] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
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

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def looks_like_pickle(start: bytes) -> bool:
    """Whether a file that starts so is a pickle, or an archive that may hold one."""
    return start.startswith(_PICKLE)


def is_pointer(start: bytes) -> bool:
    """Whether a file that starts so is what Git LFS leaves where the file was not fetched."""
    return start.startswith(_POINTER)


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        RefusedInputError: not such a file, or one that points outside itself.
        UsageError: a pointer of Git LFS stands in its place.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise RefusedInputError(f"{path} is not a regular file.")
    with path.open("rb") as stream:
        start = stream.read(len(_POINTER))
        if is_pointer(start):
            raise UsageError(
                f"{path} is a pointer of Git LFS and not the weights. Fetch them with "
                "`git lfs pull` in its folder."
            )
        length = header_length(start[:LENGTH_BYTES], status.st_size, str(path))
        stream.seek(LENGTH_BYTES)
        header = stream.read(length)
    return parse_header(header, status.st_size - LENGTH_BYTES - length, str(path))


def header_length(start: bytes, file_bytes: int, where: str) -> int:
    """Bytes of the header that follows the file's first eight.

    Raises:
        RefusedInputError: it would not lie in the file, or be longer than the format allows.
    """
    if looks_like_pickle(start):
        raise RefusedInputError(
            f"{where} is named as safetensors and holds a pickle or an archive, which can run "
            "code when it is read. Save the model again with safe_serialization=True."
        )
    length = int.from_bytes(start, "little")
    longest = min(HEADER_MAX_BYTES, file_bytes - LENGTH_BYTES)
    if len(start) < LENGTH_BYTES or not _HEADER_MIN_BYTES <= length <= longest:
        raise _refused(where, f"its header would have {length} bytes")
    return length


def parse_header(header: bytes, data_bytes: int, where: str) -> dict[str, Tensor]:
    """The tensors of a header that `data_bytes` bytes of data follow.

    Raises:
        RefusedInputError: it cannot be read, or the data is not laid out as it says.
    """
    tensors = _decode(where, header)
    _check_layout(where, tensors, data_bytes)
    return tensors


def weight_precision(tensors: Mapping[str, Tensor]) -> Precision:
    """The precision of the floating-point tensors; of more than one kind it is mixed."""
    kinds = {tensor.dtype for tensor in tensors.values() if not tensor.dtype.startswith(("I", "U"))}
    kinds.discard("BOOL")
    if len(kinds) == 1:
        return _FLOATS.get(kinds.pop(), Precision.MIXED)
    return Precision.MIXED


def _decode(where: str, header: bytes) -> dict[str, Tensor]:
    if header.count(b"{") > _OBJECTS_MAX:
        raise _refused(where, f"it lists more than {TENSORS_MAX} tensors")
    try:
        raw = json.loads(header.decode("utf-8"), object_pairs_hook=_without_doubles)
        if not isinstance(raw, dict):
            raise _refused(where, "its header is no JSON object")
        raw.pop("__metadata__", None)
        if len(raw) > TENSORS_MAX:
            raise _refused(where, f"it lists more than {TENSORS_MAX} tensors")
        return msgspec.convert(raw, dict[str, Tensor])
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        why = " ".join(str(error)[: 2 * _NAME_SHOWN].split())
        raise _refused(where, f"its header cannot be read ({why})") from error


def _without_doubles(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Of two entries of one name a reader would silently take either."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check_layout(where: str, tensors: Mapping[str, Tensor], data_bytes: int) -> None:
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        shown = name[:_NAME_SHOWN]
        bits = _ITEM_BITS.get(tensor.dtype)
        if bits is None:
            dtype = tensor.dtype[:_NAME_SHOWN]
            raise _refused(where, f"{shown!r} has the unknown type {dtype!r}")
        start, end = tensor.data_offsets
        odd = any(not 0 <= size <= SIZE_MAX for size in tensor.shape)
        if odd or start != position or not start <= end <= data_bytes:
            raise _refused(where, f"{shown!r} lies outside the file or over another tensor")
        if len(tensor.shape) > RANK_MAX or (end - start) * 8 != math.prod(tensor.shape) * bits:
            raise _refused(where, f"{shown!r} has another size than its shape says")
        position = end
    if position != data_bytes:
        raise _refused(where, f"{data_bytes - position} bytes belong to no tensor")


def _refused(where: str, why: str) -> RefusedInputError:
    return RefusedInputError(f"{where} is not a safetensors file that can be trusted: {why}.")
