"""Layers as a quantizer sees them, and a tail in which one alone is quantized."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.layers import (
    DynamicLayers,
    Quantizer,
    StaticLayers,
    SymmetricLayers,
    need_layers,
)
from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic
from deployopt.graph.quantize_static import StaticOptions, calibrate_static
from deployopt.graph.quantize_symmetric import quantize_symmetric
from deployopt.graph.running import Session, open_as_shipped
from deployopt.graph.tails import Graph, Playing, Weights

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]
Save = Callable[[onnx.ModelProto], Path]


def silent(share: float, words: str) -> None:
    """No one is watching."""


def static(path: Path, feeds: Feeds, **options: tuple[str, ...]) -> StaticLayers:
    # 7 bits: with 8 the sums of a machine without VNNI saturate.
    chosen = StaticOptions(exclude=options.get("exclude", ()), reduce_range=True)
    found = calibrate_static(path, path.with_name("scratch.onnx"), feeds, chosen, silent)
    return StaticLayers(found, chosen)


def test_dynamic_layers_are_products_and_lookups(text_model: onnx.ModelProto, saved: Save) -> None:
    found = DynamicLayers(saved(text_model), DynamicOptions(exclude=("v.*",)))
    assert [(layer.name, layer.operator, layer.weights) for layer in found.layers] == [
        ("lookup", "Gather", 8200 * 128),
        ("q.dot", "MatMul", 128 * 128),
        ("k.dot", "MatMul", 128 * 128),
        ("head", "Gemm", 128 * 128 + 128),
    ]
    assert [found.model.graph.node[layer.place].name for layer in found.layers] == [
        layer.name for layer in found.layers
    ]


def test_static_layers_take_the_relu_behind_them_along(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    found = static(saved(conv_model), images, exclude=("fc",))
    names = [layer.operator for layer in found.layers]
    assert names == ["Conv", "Conv", "GlobalAveragePool"]
    assert [len(layer.nodes) for layer in found.layers] == [2, 1, 1]


def alone(quantizer: Quantizer, feeds: Feeds, name: str, folder: Path) -> list[Array]:
    def start(model: onnx.ModelProto, beside: Weights) -> Session:
        return open_as_shipped(model, beside, folder / "s.onnx", SessionOptions(), 1)

    layer = next(layer for layer in quantizer.layers if layer.name == name)
    playing = Playing(Graph(quantizer.model), "logits", feeds, start)
    playing.advance(layer.place)
    tail, beside = playing.tail(inside=layer.read)
    return playing.answers(quantizer.alone(tail, layer), beside)


@pytest.mark.parametrize("name", ["lookup", "v.dot", "head"])
def test_a_dynamic_tail_answers_as_the_whole_graph_with_that_layer_alone(
    text_model: onnx.ModelProto,
    texts: Feeds,
    answers: Answers,
    saved: Save,
    tmp_path: Path,
    name: str,
) -> None:
    found = alone(DynamicLayers(saved(text_model), DynamicOptions()), texts, name, tmp_path)
    plain = np.concatenate(answers(text_model, texts))
    assert quantize_dynamic(text_model, DynamicOptions(), only=(name,)) == (name,)
    whole = np.concatenate(answers(text_model, texts))
    np.testing.assert_allclose(np.concatenate(found), whole, rtol=1e-4, atol=1e-6)
    assert not np.allclose(whole, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["c1", "c2", "fc"])
def test_a_static_tail_has_that_layer_in_integers_and_no_other(
    conv_model: onnx.ModelProto,
    images: Feeds,
    answers: Answers,
    saved: Save,
    tmp_path: Path,
    name: str,
) -> None:
    layers = static(saved(conv_model), images)
    found = np.concatenate(alone(layers, images, name, tmp_path))
    plain = np.concatenate(answers(conv_model, images))
    assert 1e-5 < np.abs(found - plain).max() / np.abs(plain).max() < 0.05
    layer = next(layer for layer in layers.layers if layer.name == name)
    whole = layers.alone(layers.model, layer)
    made = Counter(tensor.data_type for tensor in whole.graph.initializer if len(tensor.dims) > 1)
    assert made[onnx.TensorProto.INT8] == 1
    np.testing.assert_allclose(np.concatenate(answers(whole, images)), found, atol=1e-5)


def test_nothing_to_quantize_is_an_error(text_model: onnx.ModelProto, saved: Save) -> None:
    found = DynamicLayers(saved(text_model), DynamicOptions(exclude=("*",)))
    with pytest.raises(StepError, match="no layer"):
        need_layers(found.layers)


@pytest.mark.parametrize("name", ["c1", "c2", "fc"])
def test_a_symmetric_tail_answers_as_the_whole_graph_with_that_layer_alone(
    conv_model: onnx.ModelProto,
    images: Feeds,
    answers: Answers,
    saved: Save,
    tmp_path: Path,
    name: str,
) -> None:
    source = saved(conv_model)
    options = StaticOptions()
    calibrated = calibrate_static(source, tmp_path / "scratch.onnx", images, options, silent)
    layers = SymmetricLayers(calibrated, options)
    assert [layer.name for layer in layers.layers] == ["c1", "c2", "fc"]
    found = np.concatenate(alone(layers, images, name, tmp_path))
    others = tuple({"c1", "c2", "fc"} - {name})
    goal = tmp_path / "one.onnx"
    names = quantize_symmetric(source, goal, images, StaticOptions(exclude=others), silent)
    assert names == (name,)
    session = ort.InferenceSession(goal, providers=["CPUExecutionProvider"])
    whole = np.concatenate([session.run(None, feed)[0] for feed in images])
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-5)
    plain = np.concatenate(answers(conv_model, images))
    assert not np.allclose(whole, plain, rtol=1e-4, atol=1e-6)
