"""float8 pairs: of the right type, rounded as E4M3 rounds, and nearly the same answers."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.half import half_graph
from deployopt.graph.precision import precision_of
from deployopt.graph.quantize_float8 import LARGEST, place_float8, quantize_float8, scale_of
from deployopt.graph.quantize_static import StaticOptions
from deployopt.steps.session import GRAPH_SESSION

Save = Callable[[onnx.ModelProto], Path]
Answers = Callable[[onnx.ModelProto, list[dict[str, Array]]], list[Array]]
Feeds = list[dict[str, Array]]
FLOAT8 = onnx.TensorProto.FLOAT8E4M3FN


def quantized(
    source: Path, feeds: Feeds, options: StaticOptions | None = None
) -> tuple[tuple[str, ...], onnx.ModelProto]:
    goal = source.with_name("pairs.onnx")
    names = quantize_float8(
        source, goal, feeds, options or StaticOptions(), lambda _share, _words: None
    )
    return names, onnx.load(goal)


def proxies(model: onnx.ModelProto, feeds: Feeds) -> list[Array]:
    """The first output for each request, as a CPU answers in a card's place."""
    onnx.checker.check_model(model, full_check=True)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    for key, value in GRAPH_SESSION.config_entries.items():
        settings.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),
        settings,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(GRAPH_SESSION.disabled_optimizers),
    )
    return [np.asarray(session.run(None, feed)[0]) for feed in feeds]


def apart(one: list[Array], other: list[Array]) -> float:
    return max(
        float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(one, other, strict=True)
    )


def test_products_with_weights_get_pairs_and_keep_their_answers(
    text_model: onnx.ModelProto, texts: Feeds, saved: Save, answers: Answers
) -> None:
    before = answers(text_model, texts)
    names, model = quantized(saved(text_model), texts)
    counts = Counter(node.op_type for node in model.graph.node)
    products = [n for n in text_model.graph.node if n.op_type in {"MatMul", "Gemm"}]
    assert 0 < len(names) < len(products)
    # q, k and v read one value, which is rounded once.
    assert counts["QuantizeLinear"] == len(names) - 2
    assert counts["DequantizeLinear"] == len(names) + counts["QuantizeLinear"]
    assert precision_of(model) is Precision.FP8
    assert 0 < apart(before, proxies(model, texts)) < 0.1


def test_convolutions_have_a_scale_a_channel_and_weights_are_rounded_as_e4m3(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save, answers: Answers
) -> None:
    before = answers(conv_model, images)
    names, model = quantized(saved(conv_model), images)
    assert names == ("c1", "c2", "fc")
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node}
    convolution = next(node for node in model.graph.node if node.name == "c2")
    pair = made[convolution.input[1]]
    rounded, scales, zeros = (weights[name] for name in pair.input)
    assert {rounded.data_type, zeros.data_type} == {FLOAT8}
    assert list(scales.dims) == list(zeros.dims) == [16]
    raw = np.frombuffer(rounded.raw_data, ml_dtypes.float8_e4m3fn).reshape(rounded.dims)
    assert np.abs(raw.astype(np.float32)).max() == pytest.approx(LARGEST, rel=0.07)
    whole = onnx.numpy_helper.to_array(
        next(t for t in conv_model.graph.initializer if t.name == "c2.w")
    )
    back = raw.astype(np.float32) * onnx.numpy_helper.to_array(scales).reshape(16, 1, 1, 1)
    # Three bits of mantissa, with a tie's half: a sixteenth.
    big = np.abs(whole) > np.abs(whole).max(axis=(1, 2, 3), keepdims=True) / 1000
    assert (np.abs(back - whole)[big] <= np.abs(whole)[big] / 16 * 1.01).all()
    assert 0 < apart(before, proxies(model, images)) < 0.15


def test_it_stays_what_it_is_where_the_rest_becomes_float16(
    text_model: onnx.ModelProto, texts: Feeds, saved: Save
) -> None:
    _, model = quantized(saved(text_model), texts)
    halved = half_graph(onnx.shape_inference.infer_shapes(model), [])
    scales = {node.input[1] for node in halved.graph.node if node.op_type == "DequantizeLinear"}
    types = {t.data_type for t in halved.graph.initializer if t.name in scales}
    assert types == {onnx.TensorProto.FLOAT16}
    assert apart(proxies(model, texts), proxies(halved, texts)) < 0.05


def test_weights_of_a_matrix_that_is_read_turned_have_their_scales_by_row(
    text_model: onnx.ModelProto, texts: Feeds, saved: Save
) -> None:
    _, model = quantized(saved(text_model), texts)
    made = {node.output[0]: node for node in model.graph.node}
    by_name = {node.name: node for node in model.graph.node}
    axes = {
        name: next(a.i for a in made[by_name[name].input[1]].attribute if a.name == "axis")
        for name in ("q.dot", "head")
    }
    assert axes == {"q.dot": 1, "head": 0}


def test_the_same_weights_are_kept_once_and_no_float_ones_are_left(
    text_model: onnx.ModelProto,
) -> None:
    for node in text_model.graph.node:
        if node.name == "v.dot":
            node.input[1] = "k.w"
    names = ["q.dot", "k.dot", "v.dot", "head", "last"]
    largest = {"x": 4.0, "pooled": 2.0, "h": 2.0}
    model = place_float8(text_model, names, largest)
    kept = [t for t in model.graph.initializer if t.data_type == FLOAT8 and len(t.dims) > 1]
    assert len(kept) == len(names) - 1
    floats = {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    assert not floats & {"q.w", "k.w", "v.w", "head.w", "last.w"}


def test_what_reads_values_beyond_float16_is_left(saved: Save) -> None:
    graph = make.make_graph(
        [make.make_node("MatMul", ["x", "w"], ["y"], name="dot")],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 8])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 8])],
        [onnx.numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(StepError, match="could gain by"):
        quantized(saved(model), [{"x": np.full((1, 8), 70_000.0, np.float32)}])


def test_the_source_is_left_as_it_is(text_model: onnx.ModelProto) -> None:
    before = text_model.SerializeToString()
    place_float8(text_model, ["head"], {"pooled": 3.0})
    assert text_model.SerializeToString() == before


def test_a_layer_that_is_excluded_stays_float(
    conv_model: onnx.ModelProto, images: Feeds, saved: Save
) -> None:
    names, _ = quantized(saved(conv_model), images, StaticOptions(exclude=("c1",)))
    assert names == ("c2", "fc")


@given(st.lists(st.floats(0, 65_504 * 400, width=32), min_size=1, max_size=8))
def test_scales_are_numbers_of_float16_and_cut_nothing_off(largest: list[float]) -> None:
    given_ = np.asarray(largest, np.float32)
    scales = scale_of(given_)
    assert scales.dtype == np.float32
    assert (scales.astype(np.float16).astype(np.float32) == scales).all()
    assert (given_ <= scales * np.float64(LARGEST)).all()
    assert (scales > 0).all()
    close = given_ / LARGEST > 2.0**-14
    assert (scales[close] <= given_[close] / LARGEST * (1 + 2.0**-10)).all()
