"""The precision found is the weights', whatever the file was meant to be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.samples import Array
from deployopt.graph.precision import precision_found
from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic

Save = Callable[[onnx.ModelProto], Path]


def test_float_and_int8(text_model: onnx.ModelProto, saved: Save) -> None:
    assert precision_found(saved(text_model)) is Precision.FP32
    quantize_dynamic(text_model, DynamicOptions())
    assert precision_found(saved(text_model)) is Precision.INT8


@pytest.mark.parametrize("excluded", ["head", "[qkv].dot"])
def test_a_layer_left_in_float_makes_it_mixed(
    text_model: onnx.ModelProto, saved: Save, excluded: str
) -> None:
    quantize_dynamic(text_model, DynamicOptions(exclude=(excluded,)))
    assert precision_found(saved(text_model)) is Precision.MIXED


def test_int8_embeddings_alone_are_not_int8(text_model: onnx.ModelProto, saved: Save) -> None:
    quantize_dynamic(text_model, DynamicOptions(exclude=("head", "?.dot")))
    assert precision_found(saved(text_model)) is Precision.FP32


def test_half_precision(text_model: onnx.ModelProto, saved: Save) -> None:
    for tensor in text_model.graph.initializer:
        half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    assert precision_found(saved(text_model)) is Precision.FP16


def _arrays(**arrays: Array) -> list[onnx.TensorProto]:
    return [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]


def _graph(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> onnx.ModelProto:
    ends = [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    return make.make_model(make.make_graph(nodes, "g", ends[:1], ends[1:], weights))


def test_weights_of_recurrent_layers_count(saved: Save) -> None:
    weights = _arrays(
        w=np.ones((1, 64, 8), np.float16),
        r=np.ones((1, 64, 16), np.float16),
        q=np.ones((16, 4), np.int8),
        scale=np.ones((), np.float16),
    )
    nodes = [
        make.make_node("LSTM", ["x", "w", "r"], ["l"], hidden_size=16),
        make.make_node("DequantizeLinear", ["q", "scale"], ["head"]),
        make.make_node("MatMul", ["l", "head"], ["y"]),
    ]
    assert precision_found(saved(_graph(nodes, weights))) is Precision.FP16
    nodes[0] = make.make_node("Relu", ["x"], ["l"])
    assert precision_found(saved(_graph(nodes, weights))) is Precision.INT8


def test_products_in_the_branches_of_a_graph_count(saved: Save) -> None:
    weights = _arrays(w=np.ones((8, 8), np.float16), go=np.ones((), np.bool_))
    out = make.make_tensor_value_info("b", onnx.TensorProto.FLOAT16, None)
    branch = make.make_graph([make.make_node("MatMul", ["x", "w"], ["b"])], "b", [], [out])
    nodes = [make.make_node("If", ["go"], ["y"], then_branch=branch, else_branch=branch)]
    assert precision_found(saved(_graph(nodes, weights))) is Precision.FP16


def test_without_products_it_is_that_of_the_other_floats(saved: Save) -> None:
    for kind, expected in ((np.float16, Precision.FP16), (np.float32, Precision.FP32)):
        nodes = [make.make_node("Add", ["x", "b"], ["y"])]
        assert precision_found(saved(_graph(nodes, _arrays(b=np.ones(8, kind))))) is expected
