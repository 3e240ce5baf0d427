"""Element counts and bytes of tensors from their headers alone."""

import math
from typing import Final

import onnx
import onnx.helper

# Types that share a byte: how many of them do. An older onnx does not know all of them.
_NAMES_A_BYTE: Final = {"INT4": 2, "UINT4": 2, "FLOAT4E2M1": 2, "INT2": 4, "UINT2": 4}
_A_BYTE: Final = {
    getattr(onnx.TensorProto, name): count
    for name, count in _NAMES_A_BYTE.items()
    if hasattr(onnx.TensorProto, name)
}


def elements(tensor: onnx.TensorProto) -> int:
    """How many numbers the tensor holds."""
    return math.prod(tensor.dims)


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Bytes of the tensor's numbers, packed as raw data; 0 for strings and unknown types."""
    if tensor.data_type in _A_BYTE:
        return -(-elements(tensor) // _A_BYTE[tensor.data_type])
    return elements(tensor) * item_bytes(tensor.data_type)


def item_bytes(data_type: int) -> int:
    """Bytes of one element; 0 for strings and unknown types."""
    if data_type == onnx.TensorProto.STRING:
        return 0
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
    except (KeyError, ValueError):
        return 0
