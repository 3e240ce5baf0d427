"""Bytes from headers against onnx's own packing."""

import numpy as np
import onnx
import onnx.helper
import pytest

from deployopt.graph.sizes import item_bytes, tensor_bytes


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "INT64", "INT8", "BOOL", "DOUBLE"])
def test_plain_types(kind: str) -> None:
    data_type = getattr(onnx.TensorProto, kind)
    numbers = np.ones((3, 5), onnx.helper.tensor_dtype_to_np_dtype(data_type))
    tensor = onnx.numpy_helper.from_array(numbers)
    assert tensor_bytes(tensor) == len(tensor.raw_data)


@pytest.mark.parametrize("kind", ["INT4", "UINT4", "INT2", "UINT2", "FLOAT4E2M1"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_types_that_share_a_byte(kind: str, count: int) -> None:
    data_type = getattr(onnx.TensorProto, kind, None)
    if data_type is None:
        pytest.skip(f"this onnx has no {kind}")
    tensor = onnx.helper.make_tensor("t", data_type, [count], [1] * count)
    packed = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor))
    assert tensor_bytes(tensor) == len(packed.raw_data)


def test_strings_have_no_fixed_size() -> None:
    assert item_bytes(onnx.TensorProto.STRING) == item_bytes(0) == 0
