"""float16: what would not fit stays in float32, and the answers stay those of the graph."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph import half as module
from deployopt.graph import half_ranges
from deployopt.graph.half import convert_to_half, half_graph
from deployopt.graph.half_ranges import Kept, angle_nodes, nodes_to_keep
from deployopt.graph.precision import precision_found
from deployopt.graph.quantize_static import StaticOptions
from deployopt.graph.quantize_symmetric import quantize_symmetric
from deployopt.graph.running import run_graph

Save = Callable[[onnx.ModelProto], Path]


def silent(_share: float, _words: str) -> None:
    """No one is watching."""


def convert(source: Path, feeds: list[dict[str, Array]]) -> tuple[module.Halved, onnx.ModelProto]:
    goal = source.with_name("half.onnx")
    done = convert_to_half(source, goal, feeds, 1, silent)
    return done, onnx.load(goal)


def types(model: onnx.ModelProto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def swollen(size: float) -> onnx.ModelProto:
    """A product of `size` times its input, and one that makes it small again."""
    weights = [
        onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32) * size, "up"),
        onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32) / size, "down"),
        onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "last"),
    ]
    graph = make.make_graph(
        [
            make.make_node("MatMul", ["x", "up"], ["large"], name="grow"),
            make.make_node("MatMul", ["large", "down"], ["small"], name="shrink"),
            make.make_node("MatMul", ["small", "last"], ["y"], name="end"),
        ],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 4])],
        weights,
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


FEEDS = [{"x": np.full((1, 4), 3.0, dtype=np.float32)}]


def test_a_graph_whose_values_are_small_is_float16_throughout(
    text_model: onnx.ModelProto, texts: list[dict[str, Array]], saved: Save
) -> None:
    path = saved(text_model)
    done, made = convert(path, texts)
    assert done.kept == ()
    assert done.difference < 0.01
    assert precision_found(path.with_name("half.onnx")) is Precision.FP16
    kinds = [v.type.tensor_type.elem_type for v in (*made.graph.input, *made.graph.output)]
    assert kinds == [onnx.TensorProto.INT64, onnx.TensorProto.FLOAT]


def test_nodes_whose_values_would_overflow_stay_float32(saved: Save) -> None:
    done, made = convert(saved(swollen(30_000.0)), FEEDS)
    assert [one.name for one in done.kept] == ["grow", "shrink"]
    assert max(one.largest for one in done.kept) == pytest.approx(90_000)
    found = types(made)
    assert found["up"] == found["down"] == onnx.TensorProto.FLOAT
    assert found["last"] == onnx.TensorProto.FLOAT16
    assert done.difference < 0.01


def test_there_is_room_left_above_what_was_seen(saved: Save) -> None:
    near = half_ranges.LARGEST / half_ranges.HEADROOM / 3
    assert convert(saved(swollen(near * 0.99)), FEEDS)[0].kept == ()
    assert convert(saved(swollen(near * 1.01)), FEEDS)[0].kept != ()


@pytest.mark.parametrize("axis", [None, 1])
def test_weights_behind_pairs_are_looked_at_as_what_they_stand_for(
    saved: Save, axis: int | None
) -> None:
    model = swollen(30_000.0)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    shape = () if axis is None else (4,)
    stored = np.eye(4, dtype=np.int8) * 100
    for name, values in {
        "stored": stored,
        "scale": np.full(shape, 300.0, np.float32),
        "zero": np.zeros(shape, np.int8),
    }.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    model.graph.initializer.remove(weights["up"])
    axes = {} if axis is None else {"axis": axis}
    pair = make.make_node("DequantizeLinear", ["stored", "scale", "zero"], ["up"], **axes)
    model.graph.node.insert(0, pair)
    done, _ = convert(saved(model), FEEDS)
    assert "grow" in [one.name for one in done.kept]
    back = {t.name: t for t in half_ranges.weights_back(model).graph.initializer}["up"]
    assert (onnx.numpy_helper.to_array(back) == np.eye(4) * 30_000).all()


def test_what_stands_for_minus_infinity_is_no_range() -> None:
    node = make.make_node("Add", ["scores", "mask"], ["y"], name="masked")
    model = make.make_model(make.make_graph([node], "g", [], []))
    assert half_ranges.largest_magnitude(np.array([0.0, -3.4e38], dtype=np.float32)) == 0.0
    assert nodes_to_keep(model, {"mask": 0.0, "scores": 9.0}) == ()
    assert nodes_to_keep(model, {"scores": 5e4}) == (Kept(name="masked", largest=5e4),)


def test_an_overflow_may_not_show_on_a_cpu(saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "nodes_to_keep", lambda *_: ())
    done, made = convert(saved(swollen(30_000.0)), FEEDS)
    assert set(types(made).values()) == {onnx.TensorProto.FLOAT16}
    # 90,000 is no float16, and yet the answers are right: hence the ranges.
    assert done.difference < 0.01


def test_answers_that_are_not_finite_are_refused(
    saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_join_kept", lambda _: None)
    with pytest.raises(StepError, match="not finite where float32's are"):
        convert(saved(swollen(30_000.0)), FEEDS)


def test_what_a_kept_node_takes_and_gives_is_not_rounded_on_the_way(saved: Save) -> None:
    model = swollen(30_000.0)
    shape = ["batch", 4]
    model.graph.output.append(make.make_tensor_value_info("large", onnx.TensorProto.FLOAT, shape))
    feeds = [{"x": np.full((1, 4), 3.0001, dtype=np.float32)}]
    path = saved(model)
    convert(path, feeds)
    before, after = (run_graph(p, feeds, 1)[0][1] for p in (path, path.with_name("half.onnx")))
    assert np.array_equal(before, after)


def test_pairs_are_float16_too(
    conv_model: onnx.ModelProto, images: list[dict[str, Array]], saved: Save
) -> None:
    path = saved(conv_model)
    pairs = path.with_name("pairs.onnx")
    quantize_symmetric(path, pairs, images, StaticOptions(), silent)
    done, made = convert(pairs, images)
    assert done.difference < 0.1
    scales = {name: kind for name, kind in types(made).items() if name.endswith("_scale")}
    assert scales
    assert set(scales.values()) == {onnx.TensorProto.FLOAT16}
    assert precision_found(path.with_name("half.onnx")) is Precision.INT8


def test_the_source_is_left_as_it_is(text_model: onnx.ModelProto) -> None:
    before = text_model.SerializeToString()
    half_graph(text_model, [])
    assert text_model.SerializeToString() == before


def test_without_inputs_nothing_is_converted(text_model: onnx.ModelProto, saved: Save) -> None:
    with pytest.raises(StepError, match="real inputs"):
        convert(saved(text_model), [])


def test_a_graph_that_is_float16_already_is_not_converted_again(saved: Save) -> None:
    model = swollen(2.0)
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    feeds = [{"x": np.full((1, 4), 3.0, dtype=np.float16)}]
    with pytest.raises(StepError, match="nothing to put into float16"):
        convert(saved(model), feeds)


def test_casts_alone_are_no_work_in_float32(saved: Save) -> None:
    kind = onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Cast", ["x"], ["h"], to=onnx.TensorProto.FLOAT16),
        make.make_node("Relu", ["h"], ["r"]),
        make.make_node("Cast", ["r"], ["y"], to=kind),
    ]
    ends = [make.make_tensor_value_info(name, kind, ["batch", 4]) for name in "xy"]
    graph = make.make_graph(nodes, "g", ends[:1], ends[1:])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(StepError, match="nothing to put into float16"):
        convert(saved(model), FEEDS)


def test_an_output_that_is_a_weight_stays_one(saved: Save) -> None:
    model = swollen(2.0)
    model.graph.output.append(make.make_tensor_value_info("up", onnx.TensorProto.FLOAT, [4, 4]))
    path = saved(model)
    done, _ = convert(path, FEEDS)
    before, after = (run_graph(p, FEEDS, 1)[0][1] for p in (path, path.with_name("half.onnx")))
    assert np.array_equal(before, after)
    assert done.difference < 0.01


def test_a_place_that_rounding_moved_is_no_overflow(saved: Save) -> None:
    model = swollen(2.0)
    model.graph.node.append(make.make_node("ArgMax", ["y"], ["place"], axis=1))
    place = make.make_tensor_value_info("place", onnx.TensorProto.INT64, [1, 1])
    model.graph.output.append(place)
    # The second is made the greater by less than float16 tells.
    last = np.diag([1.0, 1.0001, 1.0, 1.0]).astype(np.float32)
    model.graph.initializer[2].CopyFrom(onnx.numpy_helper.from_array(last, "last"))
    path = saved(model)
    done, _ = convert(path, FEEDS)
    before, after = (run_graph(p, FEEDS, 1)[0][1] for p in (path, path.with_name("half.onnx")))
    assert not np.array_equal(before, after)
    assert done.difference < 0.01


def test_values_that_are_all_too_small_stay_float32(saved: Save) -> None:
    done, made = convert(saved(swollen(1e-9)), FEEDS)
    assert [one.name for one in done.kept] == ["grow", "shrink"]
    assert types(made)["last"] == onnx.TensorProto.FLOAT16
    assert done.difference < 0.01


def test_what_is_small_beside_the_rest_may_be_cut_off() -> None:
    nodes = [
        make.make_node("Add", ["variance", "epsilon"], ["sum"], name="add"),
        make.make_node("Sqrt", ["sum"], ["y"], name="root"),
        make.make_node("DequantizeLinear", ["w", "epsilon"], ["d"], name="pair"),
    ]
    nodes += [
        make.make_node(op_type, ["y", "d2", "bias"], ["z"], name=op_type)
        for op_type in ("Gemm", "Conv", "LayerNormalization")
    ]
    model = make.make_model(make.make_graph(nodes, "g", [], []))
    seen = {
        "d2": 1.0,
        "bias": 1e-6,
        "z": 1.0,
        "variance": 2.0,
        "epsilon": 1e-12,
        "sum": 2.0,
        "y": 1.4,
        "d": 1e-10,
    }
    assert nodes_to_keep(model, seen) == ()
    found = nodes_to_keep(model, seen | {"variance": 1e-6, "sum": 1e-6, "y": 1e-3})
    assert found == (Kept(name="add", largest=1e-6), Kept(name="root", largest=1e-6))


def _with_branch(op_type: str) -> onnx.ModelProto:
    """The small model, with a branch of one node at its end."""
    model = swollen(2.0)
    outs = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in ("t", "e")]
    then, other = (
        make.make_graph([make.make_node(op_type, ["small"], [out.name])], out.name, [], [out])
        for out in outs
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((), np.bool_), "go"))
    asked = make.make_node(
        "If", ["go"], ["chosen"], name="route", then_branch=then, else_branch=other
    )
    model.graph.node.insert(2, asked)
    model.graph.node[3].input[0] = "chosen"
    return model


def test_what_is_worked_out_in_a_branch_is_not_taken_for_checked(saved: Save) -> None:
    with pytest.raises(StepError, match="the node 'route' works out in a graph of its own"):
        convert(saved(_with_branch("Exp")), FEEDS)


def test_a_branch_that_only_moves_values_is_float16(saved: Save) -> None:
    done, made = convert(saved(_with_branch("Identity")), FEEDS)
    assert done.kept == ()
    assert types(made)["last"] == onnx.TensorProto.FLOAT16


def turning(wide: int = 16) -> onnx.ModelProto:
    """The sine of a step times frequencies, as diffusers embeds the time, and a product of it."""
    frequencies = np.exp(-np.arange(wide, dtype=np.float32) / wide)
    weights = [
        onnx.numpy_helper.from_array(frequencies, "frequencies"),
        onnx.numpy_helper.from_array(np.array([1]), "axis"),
        onnx.numpy_helper.from_array(np.eye(wide, dtype=np.float32), "weight"),
    ]
    graph = make.make_graph(
        [
            make.make_node("Unsqueeze", ["step", "axis"], ["column"], name="column"),
            make.make_node("Cast", ["column"], ["float"], name="float", to=onnx.TensorProto.FLOAT),
            make.make_node("Mul", ["float", "frequencies"], ["angle"], name="times"),
            make.make_node("Sin", ["angle"], ["wave"], name="wave"),
            make.make_node("MatMul", ["wave", "weight"], ["y"], name="end"),
        ],
        "g",
        [make.make_tensor_value_info("step", onnx.TensorProto.INT64, ["batch"])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", wide])],
        weights,
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


STEPS = [{"step": np.array([at], dtype=np.int64)} for at in (981, 701, 333)]


def test_angles_of_hundreds_of_radians_need_float32(saved: Save) -> None:
    path = saved(turning())
    plain, _ = convert(path, STEPS)
    assert plain.kept == ()
    assert plain.difference > 0.05
    goal = path.with_name("angles.onnx")
    done = convert_to_half(path, goal, STEPS, 1, silent, angles=True)
    assert (done.angles, done.nodes) == (4, 5)
    assert done.difference < 0.001
    found = types(onnx.load(goal))
    assert found["frequencies"] == onnx.TensorProto.FLOAT
    assert found["weight"] == onnx.TensorProto.FLOAT16


def test_what_weights_stand_before_is_no_angle() -> None:
    model = turning()
    model.graph.node.append(make.make_node("Cos", ["y"], ["z"], name="other"))
    assert set(angle_nodes(model)) == {"column", "float", "times", "wave", "other"}


def test_a_value_that_is_no_number_is_named(saved: Save) -> None:
    feeds = [{"x": np.array([[np.nan, 1, 1, 1]], dtype=np.float32)}]
    with pytest.raises(StepError, match=r"largest of \w+' is not finite for calibration sample 0"):
        convert(saved(swollen(2.0)), feeds)
