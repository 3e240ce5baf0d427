"""Element counts and bytes of tensors from their headers alone."""

import math

import onnx
import onnx.helper

_TWO_A_BYTE = frozenset({onnx.TensorProto.INT4, onnx.TensorProto.UINT4})


def elements(tensor: onnx.TensorProto) -> int:
    """How many numbers the tensor holds."""
    return math.prod(tensor.dims)


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Bytes of the tensor's numbers, packed as raw data; 0 for strings and unknown types."""
    if tensor.data_type in _TWO_A_BYTE:
        return (elements(tensor) + 1) // 2
    return elements(tensor) * item_bytes(tensor.data_type)


def item_bytes(data_type: int) -> int:
    """Bytes of one element; 0 for strings and unknown types."""
    if data_type == onnx.TensorProto.STRING:
        return 0
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
    except (KeyError, ValueError):
        return 0
