"""Signed, symmetric Q/DQ pairs: as TensorRT's parser wants them, and nearly the same answers."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.quantize_static import StaticOptions
from deployopt.graph.quantize_symmetric import quantize_symmetric

Save = Callable[[onnx.ModelProto], Path]
Answers = Callable[[onnx.ModelProto, list[dict[str, Array]]], list[Array]]
Feeds = list[dict[str, Array]]


def quantized(
    source: Path, feeds: Feeds, options: StaticOptions | None = None
) -> tuple[tuple[str, ...], onnx.ModelProto]:
    goal = source.with_name("pairs.onnx")
    names = quantize_symmetric(
        source, goal, feeds, options or StaticOptions(), lambda _share, _words: None
    )
    return names, onnx.load(goal)


def test_all_integers_are_signed_and_without_a_zero_point(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    names, model = quantized(saved(conv_model), images)
    assert names == ("c1", "c2", "fc")
    integers = [t for t in model.graph.initializer if t.data_type != onnx.TensorProto.FLOAT]
    assert {tensor.data_type for tensor in integers} == {onnx.TensorProto.INT8}
    points = [t for t in integers if t.name.endswith("_zero_point")]
    assert points
    assert all(not onnx.numpy_helper.to_array(tensor).any() for tensor in points)


def test_weights_have_a_scale_a_channel_and_biases_stay_float(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    _, model = quantized(saved(conv_model), images)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    assert weights[convolution.input[2]].data_type == onnx.TensorProto.FLOAT
    read = next(node for node in model.graph.node if convolution.input[1] in node.output)
    assert read.op_type == "DequantizeLinear"
    assert list(weights[read.input[1]].dims) == [16]


def test_products_of_two_activations_and_their_answers_stay_float(
    text_model: onnx.ModelProto, texts: Feeds, saved: Save, answers: Answers
) -> None:
    before = answers(text_model, texts)
    names, model = quantized(saved(text_model), texts)
    counts = Counter(node.op_type for node in model.graph.node)
    products = [n for n in text_model.graph.node if n.op_type in {"MatMul", "Gemm"}]
    assert 0 < len(names) < len(products)
    # A pair for every weight, and one for every input that is not quantized already.
    assert counts["DequantizeLinear"] == len(names) + counts["QuantizeLinear"]
    after = answers(model, texts)
    apart = [np.abs(a - b).max() / np.abs(a).max() for a, b in zip(before, after, strict=True)]
    assert 0 < max(apart) < 0.2


def test_a_layer_that_is_excluded_stays_float(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    names, _ = quantized(saved(conv_model), images, StaticOptions(exclude=("c1",)))
    assert names == ("c2", "fc")


def test_a_graph_without_products_is_left(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    with pytest.raises(StepError):
        quantized(saved(conv_model), images, StaticOptions(exclude=("*",)))
