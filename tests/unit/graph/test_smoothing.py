"""Smoothing says the same, folds where it may, and mends what outlier channels spoil."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph import smoothing
from deployopt.graph.index import GraphIndex
from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic
from deployopt.graph.quantize_static import StaticOptions, quantize_static
from deployopt.graph.smoothing import smooth_graph, smooth_places

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]
Save = Callable[[onnx.ModelProto], Path]
WIDTH = 128
LOUD = (3, 70)
"""Channels a hundred times as loud as the others, as trained transformers have them."""
NORM = "LayerNormalization"


def norm_nodes(*, split: bool) -> list[onnx.NodeProto]:
    """A layer norm of `x` to `y`, as one node or as exporters before opset 17 write it."""
    node = make.make_node
    if not split:
        return [node(NORM, ["x", "scale", "shift"], ["y"], axis=-1, name="norm")]
    return [
        node("ReduceMean", ["x"], ["mean"], axes=[-1]),
        node("Sub", ["x", "mean"], ["centred"]),
        node("Mul", ["centred", "centred"], ["squared"]),
        node("ReduceMean", ["squared"], ["variance"], axes=[-1]),
        node("Add", ["variance", "tiny"], ["safe"]),
        node("Sqrt", ["safe"], ["deviation"]),
        node("Div", ["centred", "deviation"], ["normal"]),
        node("Mul", ["normal", "scale"], ["scaled"]),
        node("Add", ["scaled", "shift"], ["y"]),
    ]


def norm_model(*, split: bool = False, residual: bool = False) -> onnx.ModelProto:
    """Norm, a MatMul and a transposed Gemm over its result, and where `residual` the result too."""
    random = np.random.default_rng(0)
    scale = np.ones(WIDTH, np.float32)
    scale[list(LOUD)] = 100
    arrays = {
        "scale": scale,
        "shift": random.standard_normal(WIDTH).astype(np.float32) * scale,
        "tiny": np.array([1e-5], np.float32),
        "a.w": (random.standard_normal((WIDTH, WIDTH)) / 12).astype(np.float32),
        "b.w": (random.standard_normal((WIDTH, WIDTH)) / 12).astype(np.float32),
    }
    # The loud channels say no more than the others: their weights are as small.
    arrays["a.w"][list(LOUD)] /= 100
    arrays["b.w"][:, list(LOUD)] /= 100
    sums = ["a", "b", "y"] if residual else ["a", "b"]
    graph = make.make_graph(
        [
            *norm_nodes(split=split),
            make.make_node("MatMul", ["y", "a.w"], ["a"], name="a"),
            make.make_node("Gemm", ["y", "b.w"], ["b"], name="b", transB=1),
            make.make_node("Sum", sums, ["z"]),
        ],
        "norms",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", WIDTH])],
        [make.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["rows", WIDTH])],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def rows() -> Feeds:
    random = np.random.default_rng(1)
    return [{"x": random.standard_normal((9, WIDTH)).astype(np.float32)} for _ in range(8)]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_it_says_the_same(
    rows: Feeds, saved: Save, answers: Answers, alpha: float, *, split: bool, residual: bool
) -> None:
    model = norm_model(split=split, residual=residual)
    source = saved(model)
    out = source.with_name("smoothed.onnx")
    done = smooth_graph(source, out, rows, alpha=alpha, threads=1)
    assert (done.folded, done.multiplied) == ((0, 1) if residual else (1, 0))
    assert done.difference < 1e-5
    before, after = answers(model, rows), answers(onnx.load(out), rows)
    scale = max(np.abs(part).max() for part in before)
    assert max(np.abs(a - b).max() for a, b in zip(before, after, strict=True)) < 2e-6 * scale
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(out).graph.initializer}
    assert "a.w" not in weights


def relative_error(found: list[Array], expected: list[Array]) -> float:
    return float(
        np.sqrt(
            np.mean(np.square(np.concatenate(found) - np.concatenate(expected)))
            / np.mean(np.square(np.concatenate(expected)))
        )
    )


def test_int8_behind_outlier_channels_is_mended(rows: Feeds, saved: Save, answers: Answers) -> None:
    """One scale for all activations is the loud channels' scale, until they are smoothed."""
    source = saved(norm_model())
    smoothed = source.with_name("smoothed.onnx")
    smooth_graph(source, smoothed, rows, alpha=0.5, threads=1)
    expected = answers(onnx.load(source), rows)
    errors = {}
    for path in (source, smoothed):
        model = onnx.load(path)
        assert len(quantize_dynamic(model, DynamicOptions(per_channel=True))) == 2
        static = path.with_name(f"static.{path.name}")
        options = StaticOptions(calibration="minmax")
        quantize_static(path, static, rows, options, lambda *_: None)
        errors[path, "dynamic"] = relative_error(answers(model, rows), expected)
        errors[path, "static"] = relative_error(answers(onnx.load(static), rows), expected)
    for kind in ("dynamic", "static"):
        assert errors[source, kind] > 0.1
        assert errors[smoothed, kind] < errors[source, kind] / 4


def test_scales_are_those_of_the_paper(rows: Feeds, saved: Save) -> None:
    model = norm_model()
    source = saved(model)
    smooth_graph(source, source.with_name("s.onnx"), rows, alpha=0.3, threads=1)
    weights = {
        t.name: onnx.numpy_helper.to_array(t)
        for t in onnx.load(source.with_name("s.onnx")).graph.initializer
    }
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    x = np.concatenate([feed["x"] for feed in rows])
    normal = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    reach = np.abs(normal * arrays["scale"] + arrays["shift"]).max(axis=0)
    largest = np.maximum(np.abs(arrays["a.w"]).max(axis=1), np.abs(arrays["b.w"]).max(axis=0))
    expected = reach**0.3 / largest**0.7
    np.testing.assert_allclose(weights["a.smooth.weight"] / arrays["a.w"], expected[:, None]
        * np.ones((1, WIDTH)), rtol=1e-3)  # fmt: skip
    folded = next(array for name, array in weights.items() if name.startswith("scale."))
    np.testing.assert_allclose(arrays["scale"] / folded, expected, rtol=1e-3)


def test_silent_channels_stay_as_they_are(saved: Save) -> None:
    model = norm_model()
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).copy()
        if tensor.name in {"scale", "shift"}:
            array[5] = 0
        if tensor.name == "a.w":
            array[6] = 0
        if tensor.name == "b.w":
            array[:, 6] = 0
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    feeds = [{"x": np.random.default_rng(2).standard_normal((4, WIDTH)).astype(np.float32)}]
    source = saved(model)
    done = smooth_graph(source, source.with_name("s.onnx"), feeds, alpha=0.5, threads=1)
    assert done.difference < 1e-5


@pytest.mark.parametrize(
    "spoil",
    ["axis", "activation", "vector"],
)
def test_what_is_no_such_place_is_left_alone(spoil: str) -> None:
    model = norm_model()
    if spoil == "axis":
        model.graph.node[0].attribute[0].i = 0
    elif spoil == "activation":
        model.graph.node[1].input[1] = "x"
        del model.graph.node[2]
        model.graph.node[2].input[1] = "y"
    else:
        model.graph.node[0].op_type = "Add"
        del model.graph.node[0].input[2]
    assert smooth_places(GraphIndex(model)) == []


def test_a_graph_without_norms_is_an_error(
    text_model: onnx.ModelProto, texts: Feeds, saved: Save
) -> None:
    source = saved(text_model)
    with pytest.raises(StepError, match="nothing to smooth"):
        smooth_graph(source, source.with_name("s.onnx"), texts, alpha=0.5, threads=1)


def test_another_answer_is_an_error(
    rows: Feeds, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoothing, "_divide", lambda *_: None)
    source = saved(norm_model())
    with pytest.raises(StepError, match=r"differs .*leave the step out"):
        smooth_graph(source, source.with_name("s.onnx"), rows, alpha=0.5, threads=1)
