"""Graphs that round on a CPU as a card rounds: digit by digit, and wherever it does."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import onnx.shape_inference
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.bfloat16 import bfloat16_graph, convert_to_bfloat16
from deployopt.graph.precision import precision_of
from deployopt.graph.rounding import (
    BFLOAT16_LARGEST,
    rounded_products,
    rounded_to_bfloat16,
    to_bfloat16,
)

Save = Callable[[onnx.ModelProto], Path]
LEVELS = onnxruntime.GraphOptimizationLevel


def ask(model: onnx.ModelProto, feed: dict[str, Array], level: object = None) -> Array:
    onnx.checker.check_model(model)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = level or LEVELS.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, feed)[0])


def product(width: int = 32) -> onnx.ModelProto:
    weights = np.random.default_rng(2).standard_normal((width, width)).astype(np.float32)
    graph = make.make_graph(
        [
            make.make_node("MatMul", ["x", "w"], ["p"], name="dot"),
            make.make_node("Add", ["p", "b"], ["s"], name="add"),
            make.make_node("MatMul", ["s", "s"], ["y"], name="square"),
        ],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [width, width])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [width, width])],
        [
            onnx.numpy_helper.from_array(weights, "w"),
            onnx.numpy_helper.from_array(weights[0], "b"),
        ],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def brain(values: Array) -> Array:
    return np.asarray(values.astype(ml_dtypes.bfloat16).astype(np.float32))


def nine_bits(values: Array) -> Array:
    """By the bits themselves: round half to even at the ninth behind the leading one."""
    bits = values.view(np.uint32).astype(np.uint64)
    bits = bits + (1 << 13) - 1 + ((bits >> 14) & 1)
    return (bits & 0xFFFFC000).astype(np.uint32).view(np.float32)


X = np.random.default_rng(1).standard_normal((32, 32)).astype(np.float32)


@pytest.mark.parametrize("level", [LEVELS.ORT_DISABLE_ALL, LEVELS.ORT_ENABLE_ALL])
def test_bfloat16_rounds_what_comes_in_and_whatever_a_node_gives(level: object) -> None:
    model = product()
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    first = brain(brain(brain(X) @ brain(weights["w"])) + brain(weights["b"]))
    found = ask(rounded_to_bfloat16(model), {"x": X}, level)
    assert (brain(found) == found).all()
    wanted = brain(first @ first)
    # Sums in another order may end on the other side of a tie.
    assert np.isclose(found, wanted, rtol=2.0**-7, atol=2.0**-7).mean() > 0.99
    assert (found == wanted).mean() > 0.9
    assert not np.isclose(found, ask(model, {"x": X}), rtol=1e-5).all()


@pytest.mark.parametrize("level", [LEVELS.ORT_DISABLE_ALL, LEVELS.ORT_ENABLE_ALL])
def test_of_tf32_the_factors_of_products_are_cut_and_nothing_else(level: object) -> None:
    model = product()
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    first = nine_bits(X) @ nine_bits(weights["w"]) + weights["b"]
    short = nine_bits(first)
    found = ask(rounded_products(model), {"x": X}, level)
    assert np.isclose(found, short @ short, rtol=1e-3, atol=1e-2).all()
    whole = ask(model, {"x": X}, level)
    assert 1e-5 < np.abs(found - whole).max() / np.abs(whole).max() < 1e-2
    operators = Counter(node.op_type for node in rounded_products(model).graph.node)
    # Two values are read by products that are no weights, each cut once.
    assert operators == {"MatMul": 2, "Add": 1, "Mul": 2, "Sub": 4}


@given(
    arrays.arrays(
        np.float32, 16, elements=st.floats(-(2.0**80), 2.0**80, width=32, allow_subnormal=False)
    )
)
def test_the_cut_is_that_of_the_bits(values: Array) -> None:
    values = np.where(np.abs(values) < 2.0**-80, 0, values).astype(np.float32).reshape(4, 4)
    graph = make.make_graph(
        [make.make_node("MatMul", ["x", "one"], ["y"], name="dot")],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, 4])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4, 4])],
        [onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "one")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    found = ask(rounded_products(model), {"x": values}, LEVELS.ORT_DISABLE_ALL)
    assert (found == nine_bits(values)).all()


def test_what_stands_for_minus_infinity_stays_a_number() -> None:
    lowest = np.array([np.finfo(np.float32).min, -np.inf, 1.0], np.float32)
    found = to_bfloat16(lowest).astype(np.float32)
    assert found.tolist() == [-BFLOAT16_LARGEST, -BFLOAT16_LARGEST, 1.0]
    assert brain(np.array([BFLOAT16_LARGEST])).tolist() == [BFLOAT16_LARGEST]
    with np.errstate(over="ignore"):
        assert np.isinf(brain(np.array([BFLOAT16_LARGEST * 1.01])))


def test_what_no_shorter_float_is_made_of_is_not_rounded() -> None:
    scales = np.array([1.0, 1.0, 1.001, 1.001], np.float32)
    nodes = [
        make.make_node("Resize", ["x", "", "scales"], ["large"], name="resize", mode="linear"),
        make.make_node("Mul", ["large", "factor"], ["y"], name="times"),
    ]
    graph = make.make_graph(
        nodes,
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 1, 1000, 4])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 1, 1001, 4])],
        [
            onnx.numpy_helper.from_array(scales, "scales"),
            onnx.numpy_helper.from_array(scales[3:], "factor"),
        ],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    short = rounded_to_bfloat16(onnx.shape_inference.infer_shapes(model))
    kept = {t.name: onnx.numpy_helper.to_array(t) for t in short.graph.initializer}
    assert (kept["scales"] == scales).all()
    assert kept["factor"] == brain(scales[3:])
    feed = {"x": np.ones((1, 1, 1000, 4), np.float32)}
    assert ask(short, feed).shape == ask(model, feed).shape == (1, 1, 1001, 4)


def test_graphs_inside_a_graph_are_refused() -> None:
    branch = make.make_graph(
        [make.make_node("Identity", ["x"], ["inner"])],
        "branch",
        [],
        [make.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, [2])],
    )
    node = make.make_node("If", ["which"], ["y"], then_branch=branch, else_branch=branch)
    graph = make.make_graph(
        [node],
        "g",
        [
            make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2]),
            make.make_tensor_value_info("which", onnx.TensorProto.BOOL, []),
        ],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    for rounded in (rounded_to_bfloat16, rounded_products):
        with pytest.raises(StepError, match=r"\(If\) works out more than it gives"):
            rounded(model)


def test_recurrent_layers_are_refused_as_their_state_is_not_seen() -> None:
    weights = [
        onnx.numpy_helper.from_array(np.ones((1, 16, size), np.float32), name)
        for name, size in (("w", 3), ("r", 4))
    ]
    graph = make.make_graph(
        [make.make_node("LSTM", ["x", "w", "r"], ["y"], name="memory", hidden_size=4)],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 1, 3])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 1, 1, 4])],
        weights,
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    for rounded in (rounded_to_bfloat16, rounded_products):
        with pytest.raises(StepError, match=r"'memory' \(LSTM\)"):
            rounded(model)


def test_of_a_sum_of_products_in_letters_every_factor_is_cut() -> None:
    graph = make.make_graph(
        [make.make_node("Einsum", ["x", "x", "w"], ["y"], equation="ab,bc,cd->ad")],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [32, 32])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [32, 32])],
        [onnx.numpy_helper.from_array(X, "w")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    short = nine_bits(X)
    found = ask(rounded_products(model), {"x": X})
    assert np.allclose(found, short @ short @ short, rtol=1e-4, atol=1e-3)
    assert not np.allclose(found, X @ X @ X, rtol=1e-4, atol=1e-3)


def test_a_graph_in_bfloat16_keeps_its_inputs_and_its_weights_range() -> None:
    model = product()
    model.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.full((32, 32), 1e30, np.float32), "w")
    )
    made = bfloat16_graph(model)
    assert precision_of(made) is Precision.BF16
    kinds = {v.type.tensor_type.elem_type for v in (*made.graph.input, *made.graph.output)}
    assert kinds == {onnx.TensorProto.FLOAT}
    weights = {tensor.name: tensor for tensor in made.graph.initializer}
    stored = np.frombuffer(weights["w"].raw_data, ml_dtypes.bfloat16).astype(np.float32)
    # float16 would have cut it off at 65,504.
    assert stored == pytest.approx(1e30, rel=2.0**-8)
    assert not any(t.data_type == onnx.TensorProto.FLOAT16 for t in made.graph.initializer)


def test_both_files_are_written_and_compared(saved: Save, text_model: onnx.ModelProto) -> None:
    path = saved(text_model)
    goal, asked = path.with_name("model.onnx"), path.with_name("asked.onnx")
    feeds = [{"input_ids": np.arange(1, 9)[None]}]
    apart = convert_to_bfloat16(path, goal, asked, feeds, 1, lambda _share, _words: None)
    assert 0 < apart < 0.1
    assert precision_of(onnx.load(goal)) is Precision.BF16
    found = ask(onnx.load(asked), feeds[0])
    assert np.abs(found - ask(text_model, feeds[0])).max() == pytest.approx(apart, abs=1e-3)
