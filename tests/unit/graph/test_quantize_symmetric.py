"""Signed, symmetric Q/DQ pairs: as TensorRT's parser wants them, and nearly the same answers."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.quantize_static import StaticOptions, quantize_static
from deployopt.graph.quantize_symmetric import quantize_symmetric
from deployopt.graph.running import run_graph

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


def endless() -> onnx.ModelProto:
    """Two products, and beside them the logarithm of nought, which adds nothing in the end."""
    lot = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(lot.standard_normal(shape).astype(np.float32), name)
        for name, shape in (("w1", (16, 64)), ("w2", (64, 16)), ("shift", (16,)))
    ]
    nodes = [
        make.make_node("Sub", ["x", "x"], ["nought"]),
        make.make_node("Log", ["nought"], ["log"]),
        make.make_node("Add", ["log", "shift"], ["still"], name="shifted"),
        make.make_node("Exp", ["still"], ["none"]),
        make.make_node("Add", ["x", "none"], ["same"]),
        make.make_node("MatMul", ["same", "w1"], ["h"], name="p1"),
        make.make_node("MatMul", ["h", "w2"], ["y"], name="p2"),
    ]
    ends = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["batch", 16]) for n in "xy"]
    graph = make.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


def test_an_infinite_value_within_the_graph_is_left_as_it_is(saved: Save) -> None:
    lot = np.random.default_rng(1)
    feeds = [{"x": lot.standard_normal((1, 16)).astype(np.float32)} for _ in range(4)]
    path = saved(endless())
    goal = path.with_name("static.onnx")
    assert quantized(path, feeds)[0] == ("p1", "p2")
    assert quantize_static(path, goal, feeds, StaticOptions(), lambda *_: None) == ("p1", "p2")
    before = run_graph(path, feeds, 1)
    for made in (path.with_name("pairs.onnx"), goal):
        for (old,), (new,) in zip(before, run_graph(made, feeds, 1), strict=True):
            assert np.abs(old - new).max() < 0.1 * np.abs(old).max()
