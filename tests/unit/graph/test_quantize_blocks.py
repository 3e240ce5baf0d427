"""Weights of 4 and 8 bits: unpacked they are near, ONNX Runtime reads them as they are meant."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.capi._pybind_state import quantize_matmul_4bits

from deployopt.core.artifact import Precision
from deployopt.core.samples import Array
from deployopt.graph.precision import precision_of
from deployopt.graph.quantize_blocks import BlockOptions, quantize_blocks, to_blocks

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


def unpacked(numbers: Array, bits: int) -> Array:
    if bits == 8:
        return numbers.astype(np.float64)
    halves = np.stack([numbers & 15, numbers >> 4], axis=-1)
    return halves.reshape(*numbers.shape[:-1], -1).astype(np.float64)


def restored(weight: Array, block: int, bits: int) -> Array:
    """The matrix that the integers stand for, and its steps."""
    packed, scales, zeros = to_blocks(weight, block, bits)
    blocks = scales.shape[1]
    assert packed.shape == (weight.shape[1], blocks, block * bits // 8)
    cells = unpacked(packed, bits) - unpacked(zeros, bits)[:, :blocks, None]
    return (cells * scales[..., None]).reshape(weight.shape[1], -1)[:, : weight.shape[0]].T


@given(
    st.integers(1, 70),
    st.integers(1, 5),
    st.sampled_from([16, 32]),
    st.sampled_from([4, 8]),
    st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_each_weight_is_within_a_step(
    rows: int, columns: int, block: int, bits: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    weight = (random.standard_normal((rows, columns)) * random.exponential()).astype(np.float32)
    found = restored(weight, block, bits)
    for start in range(0, rows, block):
        cells = weight[start : start + block]
        step = (np.maximum(cells.max(axis=0), 0) - np.minimum(cells.min(axis=0), 0)) / (2**bits - 1)
        # Half a step of rounding, and half of a zero point that is itself rounded.
        assert (np.abs(found[start : start + block] - cells) <= step * 1.001 + 1e-7).all()


def test_zeros_and_constants_are_exact() -> None:
    weight = np.repeat(np.array([[0.0, 3.0, -2.0]], np.float32), 40, axis=0)
    np.testing.assert_allclose(restored(weight, 32, 4), weight, rtol=1e-6)


def test_no_worse_than_onnxruntimes_own() -> None:
    weight = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32)
    packed = np.zeros((64, 8, 16), np.uint8)
    scales, zeros = np.zeros((64, 8), np.float32), np.zeros((64, 4), np.uint8)
    quantize_matmul_4bits(packed, weight, scales, zeros, 32, 64, 256, True)  # noqa: FBT003 symmetric
    theirs = ((unpacked(packed, 4) - 8) * scales[..., None]).reshape(64, -1).T
    ours = restored(weight, 32, 4)
    assert np.square(ours - weight).mean() < 0.9 * np.square(theirs - weight).mean()


@pytest.mark.parametrize(("bits", "error"), [(4, 0.2), (8, 0.02)])
@pytest.mark.parametrize("block", [16, 32, 128])
def test_answers_stay_near_the_float_ones(
    text_model: onnx.ModelProto,
    texts: Feeds,
    answers: Answers,
    block: int,
    bits: int,
    error: float,
) -> None:
    before = np.concatenate(answers(text_model, texts))
    names = quantize_blocks(text_model, BlockOptions(bits=bits, block=block))
    assert names == ("lookup", "q.dot", "k.dot", "v.dot", "head")
    after = np.concatenate(answers(text_model, texts))
    assert 0 < np.abs(after - before).max() / np.abs(before).max() < error
    wanted = Precision.INT4 if bits == 4 else Precision.INT8
    assert precision_of(text_model) is wanted


def test_a_product_is_of_the_integers_restored(answers: Answers) -> None:
    """The runtime's own arithmetic (8-bit activations by block) against numpy's."""
    random = np.random.default_rng(0)
    weight = random.standard_normal((150, 160)).astype(np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="p")],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, 150])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None, 160])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    assert quantize_blocks(model, BlockOptions()) == ("p",)
    given = random.standard_normal((3, 150)).astype(np.float32)
    expected = given @ restored(weight, 32, 4)
    found = answers(model, [{"x": given}])[0]
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_the_file_shrinks_and_options_are_obeyed(text_model: onnx.ModelProto) -> None:
    before = text_model.ByteSize()
    names = quantize_blocks(text_model, BlockOptions(embeddings=False, exclude=("[qk].*",)))
    assert names == ("v.dot", "head")
    assert precision_of(text_model) is Precision.MIXED
    quantize_blocks(text_model, BlockOptions())
    assert text_model.ByteSize() < before / 3.9
