"""The header of a GGUF file, read strictly and with limits; no weight is loaded.

In: a path. Out: what kind of model it says it is, how many weights of which type it holds, and its
sizes under GGUF's own names.
Refuses a file that is cut short, points outside itself, or announces more than a model has. The
format: github.com/ggml-org/ggml, docs/gguf.md.
"""

import math
import stat
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final, Never

import msgspec

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.weights import is_pointer, looks_like_pickle

SUFFIX: Final = ".gguf"
MAGIC: Final = b"GGUF"
TENSORS_MAX: Final = 100_000
KEYS_MAX: Final = 10_000
NAME_MAX: Final = 1_024
TEXT_MAX: Final = 4 * 2**20
ITEMS_MAX: Final = 4 * 2**20
DIMENSIONS_MAX: Final = 4
LIST_MAX: Final = 4_096
"""Numbers of a list that are kept, as there may be one for each layer."""
ELEMENTS_MAX: Final = 2**40
_VERSIONS: Final = (2, 3)
_ALIGNMENT: Final = 32
_ALIGNMENT_MAX: Final = 2**16
_START: Final = 128
# Of a value: the number of its type, and its bytes.
_SCALARS: Final[Mapping[int, str]] = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_TEXT: Final = 8
_ARRAY: Final = 9
# Of a tensor: the number of its type; name, weights of a block, bytes of a block.
_TYPES: Final[Mapping[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
}  # fmt: skip
_FLOATS: Final = frozenset({"F32", "F16", "BF16", "F64"})
_SHORT: Final = 1_024
"""Characters of a text that is kept."""
_WORDS: Final = "tokenizer."
_PARTS: Final = "split.count"
_GENERAL: Final = ("general.architecture", "general.license", "general.alignment")


class GgufFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file says of itself: weights by their type, and the bytes that those take there."""

    architecture: str
    licence: str | None
    elements: dict[str, int]
    weight_bytes: int

    @property
    def weights(self) -> int:
        """How many there are."""
        return sum(self.elements.values())

    @property
    def main_type(self) -> str:
        """The type that most weights have."""
        return max(self.elements, key=lambda name: (self.elements[name], name))

    @property
    def quantized(self) -> bool:
        """Whether most weights are in fewer bits than they were trained in."""
        return self.main_type not in _FLOATS

    @property
    def bits(self) -> float:
        """Of a weight, scales included, on average."""
        return 8 * self.weight_bytes / self.weights


class GgufHeader(msgspec.Struct, frozen=True, kw_only=True):
    """All that a model's shape follows from."""

    facts: GgufFacts
    sizes: dict[str, object]
    """Numbers and short texts, by their names without the architecture before them."""
    tensors: dict[str, tuple[int, ...]]
    """Shapes by GGUF's names, rows first."""


def read_gguf(path: Path) -> GgufFacts:
    """What the header says of the weights; every tensor must lie within the file.

    Raises:
        RefusedInputError: malformed, or cut short.
        UsageError: no GGUF file, or one that is not read.
    """
    return read_gguf_header(path).facts


def read_gguf_header(path: Path) -> GgufHeader:
    """The same, with the model's sizes and the shapes of its tensors; raises as read_gguf."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise RefusedInputError(f"{path} is not a regular file.")
    with path.open("rb") as stream:
        _check_start(stream.read(_START), path)
        stream.seek(len(MAGIC))
        return _Header(stream, path, status.st_size).read()


def _check_start(start: bytes, path: Path) -> None:
    if start.startswith(MAGIC):
        return
    if looks_like_pickle(start):
        raise RefusedInputError(f"{path} holds a pickle or an archive and was not opened.")
    if is_pointer(start):
        raise UsageError(f"{path} is a pointer of Git LFS. Fetch the file: `git lfs pull`.")
    raise UsageError(
        f"{path} is not a GGUF file: it does not begin with {MAGIC.decode()}. Give a GGUF file, "
        "the folder that save_pretrained wrote, or an .onnx file."
    )


class _Header:
    """One reading of a file, from behind the magic on."""

    def __init__(self, stream: BinaryIO, path: Path, size: int) -> None:
        self._stream = stream
        self._path = path
        self._size = size

    def read(self) -> GgufHeader:
        version = self._number("<I")
        if version not in _VERSIONS:
            raise UsageError(
                f"{self._path} is of GGUF's version {version}; versions 2 and 3, little-endian, "
                "are read. Convert it with llama.cpp's own tools."
            )
        tensors, keys = int(self._number("<Q")), int(self._number("<Q"))
        if tensors > TENSORS_MAX or keys > KEYS_MAX:
            self._refuse(f"it announces {tensors} tensors and {keys} keys")
        known = self._values(keys)
        self._require_whole(known.get(_PARTS, 0))
        elements: Counter[str] = Counter()
        ends = []
        shapes: dict[str, tuple[int, ...]] = {}
        total = 0
        for _ in range(tensors):
            name, kind, shape, offset, length = self._tensor()
            elements[kind] += math.prod(shape)
            shapes[name] = shape
            total += length
            ends.append(offset + length)
        self._check_end(known.get("general.alignment", _ALIGNMENT), ends)
        architecture, licence = known.get("general.architecture"), known.get("general.license")
        if not isinstance(architecture, str) or not total:
            raise UsageError(f"{self._path} holds no model: it names no architecture or no weight.")
        facts = GgufFacts(
            architecture=architecture[:NAME_MAX],
            licence=licence[:200] if isinstance(licence, str) else None,
            elements=dict(elements),
            weight_bytes=total,
        )
        own = f"{architecture}."
        sizes = {k.removeprefix(own): v for k, v in known.items() if k.startswith(own)}
        return GgufHeader(facts=facts, sizes=sizes, tensors=shapes)

    def _values(self, keys: int) -> dict[str, object]:
        known: dict[str, object] = {}
        for _ in range(keys):
            key = self._text(NAME_MAX)
            value = self._value(int(self._number("<I")))
            long = value is None or (isinstance(value, str) and len(value) > _SHORT)
            if key in _GENERAL or not (long or key.startswith(_WORDS)):
                known[key] = value
        return known

    def _require_whole(self, parts: object) -> None:
        """One file of several has all sizes of the model, and some of its weights."""
        if isinstance(parts, int) and parts > 1:
            raise UsageError(
                f"{self._path} is one of {parts} parts of a model. Make one file of them with "
                "llama.cpp's `llama-gguf-split --merge`, and give that."
            )

    def _check_end(self, alignment: object, ends: list[int]) -> None:
        """The weights begin at the next multiple of the alignment."""
        if not isinstance(alignment, int) or not 0 < alignment <= _ALIGNMENT_MAX:
            self._refuse(f"its alignment is {alignment!r}")
        begin = -(-self._stream.tell() // alignment) * alignment
        needed = begin + max(ends, default=0)
        if needed > self._size:
            self._refuse(
                f"it is cut short: its weights end at byte {needed} and it has {self._size}"
            )

    def _tensor(self) -> tuple[str, str, tuple[int, ...], int, int]:
        """Name, type, shape, where it begins behind the header, and its bytes."""
        name = self._text(NAME_MAX)
        rank = int(self._number("<I"))
        if not 0 < rank <= DIMENSIONS_MAX:
            self._refuse(f"the tensor {name!r} has {rank} dimensions")
        # The fastest dimension comes first there.
        shape = tuple(int(self._number("<Q")) for _ in range(rank))[::-1]
        count = math.prod(shape)
        number, offset = int(self._number("<I")), int(self._number("<Q"))
        if number not in _TYPES:
            raise UsageError(
                f"{self._path} holds the tensor {name!r} in GGUF's type {number}, which is not "
                f"read. Types that are: {', '.join(kind for kind, _, _ in _TYPES.values())}."
            )
        kind, block, size = _TYPES[number]
        if not 0 < count <= ELEMENTS_MAX or count % block or offset > self._size:
            self._refuse(f"the tensor {name!r} has {count} weights at byte {offset}")
        return name, kind, shape, offset, count // block * size

    def _value(self, kind: int) -> object:
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind == _TEXT:
            return self._text(TEXT_MAX)
        if kind == _ARRAY:
            return self._list()
        return self._refuse(f"it holds a value of the type {kind}")

    def _list(self) -> tuple[float, ...] | None:
        """A short list of numbers; None of any other, which is passed over."""
        inner, count = int(self._number("<I")), int(self._number("<Q"))
        if count > ITEMS_MAX:
            self._refuse(f"it holds a list of {count} values")
        if inner in _SCALARS and count <= LIST_MAX:
            return tuple(self._number(_SCALARS[inner]) for _ in range(count))
        if inner in _SCALARS:
            self._skip(count * struct.calcsize(_SCALARS[inner]))
        elif inner == _TEXT:
            for _ in range(count):
                self._skip(self._length(TEXT_MAX))
        else:
            self._refuse(f"it holds a list of the type {inner}")
        return None

    def _text(self, most: int) -> str:
        try:
            return self._bytes(self._length(most)).decode("utf-8")
        except UnicodeDecodeError:
            self._refuse("a name in it is not UTF-8")

    def _length(self, most: int) -> int:
        length = int(self._number("<Q"))
        if length > most:
            self._refuse(f"it holds a text of {length} bytes")
        return length

    def _number(self, form: str) -> float:
        value: float = struct.unpack(form, self._bytes(struct.calcsize(form)))[0]
        return value

    def _bytes(self, count: int) -> bytes:
        found = self._stream.read(count)
        if len(found) != count:
            self._refuse("it is cut short within its header")
        return found

    def _skip(self, count: int) -> None:
        if self._stream.tell() + count > self._size:
            self._refuse("it is cut short within its header")
        self._stream.seek(count, 1)

    def _refuse(self, why: str) -> Never:
        raise RefusedInputError(
            f"{self._path} was not opened: {why}. Fetch the file again, or write it anew."
        )
