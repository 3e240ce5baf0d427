"""Weights in blocks back to float, against the runtime's own kernels."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from deployopt.core.samples import Array
from deployopt.graph.dequantize_blocks import dequantize_blocks
from deployopt.graph.quantize_blocks import DOMAIN, to_blocks

ROWS, COLUMNS, BLOCK = 80, 24, 32


def product(bits: int, *, zeros: bool, dtype: type = np.float32) -> onnx.ModelProto:
    weight = np.random.default_rng(bits).normal(0.3, 1.0, (ROWS, COLUMNS)).astype(np.float32)
    packed, scales, points = to_blocks(weight, BLOCK, bits)
    arrays = {"packed": packed, "scales": scales.reshape(-1).astype(dtype)}
    if zeros:
        arrays["zeros"] = points.reshape(-1)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    node = helper.make_node(
        "MatMulNBits", ["x", *arrays], ["y"], name="product", domain=DOMAIN, K=ROWS, N=COLUMNS,
        bits=bits, block_size=BLOCK,
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", ROWS])],
        [helper.make_tensor_value_info("y", kind, ["n", COLUMNS])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def answer(model: onnx.ModelProto, given: Array) -> Array:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"x": given})
    return np.asarray(found)


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("bits", [4, 8])
def test_the_runtime_gives_the_same_of_both(bits: int, *, zeros: bool) -> None:
    model = product(bits, zeros=zeros)
    given = np.random.default_rng(1).normal(size=(5, ROWS)).astype(np.float32)
    before = answer(model, given)
    assert dequantize_blocks(model, {bits}) == ("product",)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    np.testing.assert_allclose(answer(model, given), before, rtol=1e-5, atol=1e-4)
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT}


def test_half_precision_stays_half() -> None:
    model = product(8, zeros=True, dtype=np.float16)
    dequantize_blocks(model, {8})
    (weight,) = model.graph.initializer
    assert weight.data_type == TensorProto.FLOAT16


def test_other_bits_and_what_is_not_known_stay() -> None:
    model = product(4, zeros=True)
    assert dequantize_blocks(model, {8}) == ()
    biased = product(8, zeros=True)
    biased.graph.node[0].input.extend(["", "scales"])
    assert dequantize_blocks(biased, {8}) == ()
    assert biased.graph.node[0].op_type == "MatMulNBits"
