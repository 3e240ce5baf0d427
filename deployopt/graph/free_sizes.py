"""The sizes of a graph's inputs and outputs: numbers, and a name for each that may vary.

Exporters write a size that may vary as a name, as no name, as -1, or as the same "?" everywhere; a
name that says nothing gets the value's own name and its place, so that no two are taken for one.
"""

from typing import Final

import onnx

_SAYS_NOTHING: Final = frozenset({"", "?", "*", "-1", "none", "unk", "unknown", "dynamic"})


def sizes_of(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """The sizes in order; the same name in two places is the same size."""
    dims = value.type.tensor_type.shape.dim
    return tuple(_size(dim, f"{value.name}_{place}") for place, dim in enumerate(dims))


def _size(dim: onnx.TensorShapeProto.Dimension, own_name: str) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    given = str(dim.dim_param)
    return own_name if given.strip().casefold() in _SAYS_NOTHING else given
