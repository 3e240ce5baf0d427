"""How many nodes of each type an ONNX graph has, read without the ``onnx`` package.

In: a model file. Out: operator names with their numbers, those of other domains with theirs before
them. Nodes of the main graph only; weights are stepped over. Refuses what is not such a file.
"""

import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deployopt.core.errors import RefusedInputError
from deployopt.device.drawing.files import graph_files, is_pipeline

_SUFFIX: Final = ".onnx"
_GRAPH: Final = 7
_NODE: Final = 1
_OP_TYPE: Final = 4
_DOMAIN: Final = 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT: Final = 10
_MORE: Final = 0x80
_STANDARD: Final = frozenset({"", "ai.onnx"})
_Span = tuple[int, int]


def count_operators(path: Path) -> dict[str, int]:
    """Operator type to number of nodes, the commonest first.

    Raises:
        RefusedInputError: it is not an ONNX file.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            names = [
                _operator(data, node)
                for graph in _fields(data, (0, len(data)), _GRAPH)
                for node in _fields(data, graph, _NODE)
            ]
    except (OSError, ValueError) as error:
        raise RefusedInputError(f"{path} is not an ONNX file: {error}.") from error
    return dict(Counter(sorted(names)).most_common())


def operators_of(model: Path) -> dict[str, int]:
    """The same of what is opened: a graph, or the settings of a pipeline with its graphs beside."""
    if not is_pipeline(model):
        return count_operators(model)
    found = Counter[str]()
    for path in graph_files(model):
        if path.suffix == _SUFFIX:
            found.update(count_operators(path))
    return dict(found.most_common())


def _operator(data: mmap.mmap, node: _Span) -> str:
    name = _text(data, next(_fields(data, node, _OP_TYPE), (0, 0)))
    domain = _text(data, next(_fields(data, node, _DOMAIN), (0, 0)))
    return name if domain in _STANDARD else f"{domain}.{name}"


def _text(data: mmap.mmap, span: _Span) -> str:
    return data[span[0] : span[1]].decode("utf-8")


def _fields(data: mmap.mmap, span: _Span, wanted: int) -> Iterator[_Span]:
    """Where the byte fields of this number lie within a message."""
    at, end = span
    while at < end:
        key, at = _varint(data, at, end)
        kind = key & 7
        if kind == _VARINT:
            _, at = _varint(data, at, end)
            continue
        if kind == _BYTES:
            length, at = _varint(data, at, end)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"field {key >> 3} has the unknown form {kind}")
        if at + length > end:
            raise ValueError("it ends in the middle of a field")
        if kind == _BYTES and key >> 3 == wanted:
            yield at, at + length
        at += length


def _varint(data: mmap.mmap, at: int, end: int) -> _Span:
    """The number that begins at `at`, and where the next field does."""
    value = 0
    for place in range(min(_LONGEST_VARINT, end - at)):
        byte = data[at + place]
        value |= (byte & (_MORE - 1)) << (7 * place)
        if byte < _MORE:
            return value, at + place + 1
    raise ValueError("it ends in the middle of a number")
