"""The precision found is the weights', whatever the file was meant to be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from deployopt.core.artifact import Precision
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
