"""Static int8 of a convolution net: near the float answers, truly int8, options obeyed."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.precision import precision_found
from deployopt.graph.quantize_static import StaticOptions, quantize_static

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]
Save = Callable[[onnx.ModelProto], Path]


def quantized(source: Path, feeds: Feeds, options: StaticOptions) -> tuple[onnx.ModelProto, Path]:
    out = source.parent / "out"
    out.mkdir()
    quantize_static(source, out / "model.onnx", feeds, options, lambda *_: None)
    assert [path.name for path in out.iterdir()] == ["model.onnx"]
    return onnx.load(out / "model.onnx"), out / "model.onnx"


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("percentile", [99.99, 100.0])
def test_answers_stay_near_the_float_ones(
    conv_model: onnx.ModelProto,
    images: Feeds,
    answers: Answers,
    saved: Save,
    percentile: float,
    *,
    per_channel: bool,
) -> None:
    before = np.concatenate(answers(conv_model, images))
    options = StaticOptions(per_channel=per_channel, percentile=percentile)
    model, path = quantized(saved(conv_model), images, options)
    after = np.concatenate(answers(model, images))
    assert 0 < np.abs(after - before).max() / np.abs(before).max() < 0.1
    assert precision_found(path) is Precision.INT8
    found = Counter(node.op_type for node in model.graph.node)
    assert found["BatchNormalization"] == 0
    assert found["QuantizeLinear"] > 0


def test_the_batch_stays_free(
    conv_model: onnx.ModelProto, images: Feeds, answers: Answers, saved: Save
) -> None:
    model, _ = quantized(saved(conv_model), images, StaticOptions())
    together = {"image": np.concatenate([feed["image"] for feed in images[:3]])}
    apart = np.concatenate(answers(model, images[:3]))
    assert np.allclose(answers(model, [together])[0], apart, atol=1e-5)


def test_a_fixed_batch_works_too(conv_model: onnx.ModelProto, images: Feeds, saved: Save) -> None:
    conv_model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    conv_model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    _, path = quantized(saved(conv_model), images, StaticOptions())
    assert precision_found(path) is Precision.INT8


def test_an_old_graph_is_brought_up_first(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    conv_model.opset_import[0].version = 11
    model, _ = quantized(saved(conv_model), images, StaticOptions())
    assert model.opset_import[0].version == 13


def test_excluded_nodes_stay_float(conv_model: onnx.ModelProto, images: Feeds, saved: Save) -> None:
    path = saved(conv_model)
    out = path.parent / "model.onnx"
    names = quantize_static(path, out, images, StaticOptions(exclude=("fc*",)), lambda *_: None)
    assert names == ("c1", "c2")
    assert "fc.w" in {tensor.name for tensor in onnx.load(out).graph.initializer}


def test_reduced_range_weights_have_seven_bits(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    model, _ = quantized(saved(conv_model), images, StaticOptions(reduce_range=True))
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert weights
    assert all(np.abs(weight.astype(int)).max() <= 64 for weight in weights)


def test_without_samples_it_says_so(conv_model: onnx.ModelProto, saved: Save) -> None:
    with pytest.raises(StepError, match="real inputs"):
        quantized(saved(conv_model), [], StaticOptions())
