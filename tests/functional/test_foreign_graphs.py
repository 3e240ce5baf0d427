"""Graphs as other tools write them: nameless sizes, points of convolution, scalars, strings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.functional.conftest import Invoke

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402 -- only where onnx is

from deployopt.graph.counting import facts_from_graph  # noqa: E402
from deployopt.graph.describing import describe_onnx  # noqa: E402

FLOAT = TensorProto.FLOAT
Sizes = Sequence[int | str | None]


def weights(name: str, *shape: int) -> Any:
    values = np.random.default_rng(len(name)).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return numpy_helper.from_array(values.astype(np.float32), name)


def write(
    path: Path, nodes: Sequence[Any], ins: Sequence[Any], out: Any, tensors: Sequence[Any] = ()
) -> Path:
    graph = helper.make_graph(nodes, path.stem, ins, [out], tensors)
    stamps = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=stamps, ir_version=8), path)
    return path


def value(name: str, sizes: Sizes, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, sizes)


def convolving(path: Path, sizes: Sizes, kernel: int = 3) -> Path:
    """A convolution to 64 channels, averaged, and five classes."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], pads=[kernel // 2] * 4),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "w"], ["y"]),
    ]
    tensors = [weights("k", 64, 3, kernel, kernel), weights("w", 64, 5)]
    return write(path, nodes, [value("x", sizes)], value("y", [sizes[0], 5]), tensors)


@pytest.mark.parametrize("nameless", [-1, None, "?"])
def test_sizes_without_a_name_are_free_and_differ(tmp_path: Path, nameless: int | str) -> None:
    path = convolving(tmp_path / "m.onnx", [nameless, 3, nameless, nameless])
    assert describe_onnx(path).inputs[0].shape == ("x_0", 3, "x_2", "x_3")
    facts = facts_from_graph(path, {"x_0": 2, "x_2": 8, "x_3": 16})
    convolution = next(o for o in facts.operations if o.kind == "conv3x3")
    assert convolution.macs == 2 * 8 * 16 * 64 * 27


def test_a_value_that_no_rule_knows_ends_the_count_and_not_the_program(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("FastGelu", ["x"], ["a"], domain="com.microsoft"),
        helper.make_node("Concat", ["x", "a"], ["b"], axis=1),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    path = write(tmp_path / "m.onnx", nodes, [value("x", [1, 8])], value("y", [1, 16]))
    assert "unknown shape" in facts_from_graph(path, {}).basis


def plan(invoke: Invoke, path: Path, store: Path, *words: object) -> Any:
    done = invoke("plan", "-t", "rpi4", "-m", path, "--store", store, "--json", *words)
    assert done.code == 0, done.err
    return {forecast["recipe"]: forecast for forecast in done.json["plan"]["forecasts"]}


def test_predictions_are_for_the_sizes_of_the_data(invoke: Invoke, tmp_path: Path) -> None:
    path = convolving(tmp_path / "m.onnx", ["n", 3, "h", "w"])
    found = []
    for side in (16, 64):
        data = tmp_path / f"{side}.npz"
        lot = np.random.default_rng(side)
        np.savez(data, x=lot.standard_normal((60, 3, side, side)).astype(np.float32))
        planned = plan(invoke, path, tmp_path / "store", "-d", data)
        forecast = planned["float"]["estimates"]["latency_p95"]
        assert f"with x [1, 3, {side}, {side}]" in forecast["basis"]
        found.append(forecast["value"])
    assert found[1] > 5 * found[0]


def test_made_up_images_have_the_size_of_images(invoke: Invoke, tmp_path: Path) -> None:
    path = convolving(tmp_path / "m.onnx", [-1, 3, -1, -1])
    forecast = plan(invoke, path, tmp_path / "store")["float"]["estimates"]["latency_p95"]
    assert "with x [1, 3, 224, 224]" in forecast["basis"]


def test_convolutions_of_one_point_are_convolutions(invoke: Invoke, tmp_path: Path) -> None:
    path = convolving(tmp_path / "m.onnx", ["n", 3, 16, 16], kernel=1)
    assert "static int8" in plan(invoke, path, tmp_path / "store")["int8"]["reason"]


@pytest.mark.slow
def test_a_scalar_answer_is_compared_as_one(invoke: Invoke, tmp_path: Path, here: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)]
    path = write(tmp_path / "m.onnx", nodes, [value("x", ["n", 64])], value("y", []))
    done = invoke(
        "build", "-t", here, "-m", path, "-o", tmp_path / "b", "--store", tmp_path / "s", "--json"
    )
    assert done.code in {0, 3}, done.err
    assert done.json["gate"]["trial"]["lost"] == 0


@pytest.mark.slow
def test_weights_in_a_file_beside_go_the_whole_way(
    invoke: Invoke, tmp_path: Path, here: Path
) -> None:
    source = convolving(tmp_path / "inside.onnx", ["n", 3, 16, 16])
    path = tmp_path / "m.onnx"
    options = {"save_as_external_data": True, "location": "m.bin", "size_threshold": 0}
    onnx.save(onnx.load(source), path, **options)
    done = invoke(
        "build", "-t", here, "-m", path, "-o", tmp_path / "b", "--store", tmp_path / "s", "--json"
    )
    assert done.code in {0, 3}, done.err
    bundle = Path(done.json["bundle"])
    lineage = json.loads((bundle / "lineage.json").read_bytes())
    assert [file["path"] for file in lineage["model"]["files"]] == ["m.onnx", "m.bin"]
    assert invoke("verify", bundle, "--store", tmp_path / "s", "--json").code in {0, 3}


def test_a_graph_of_strings_is_refused_in_words(invoke: Invoke, tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    text = TensorProto.STRING
    path = write(tmp_path / "m.onnx", nodes, [value("x", ["n"], text)], value("y", ["n"], text))
    done = invoke("plan", "-t", "rpi4", "-m", path, "--store", tmp_path / "store")
    assert done.code == 2
    assert "takes strings" in done.paragraph
    assert "m.interface.json" in done.paragraph


def test_inputs_that_do_not_run_are_named(invoke: Invoke, tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    tensors = [weights("w", 8, 4)]
    path = write(
        tmp_path / "m.onnx", nodes, [value("x", ["n", "c"])], value("y", ["n", 4]), tensors
    )
    done = invoke(
        "build", "-t", "rpi4", "-m", path, "--store", tmp_path / "s", "-o", tmp_path / "b"
    )
    assert done.code == 5
    assert "m.onnx does not run on its inputs (x float32[1, 16])" in done.paragraph
    assert "--data" in done.paragraph


def test_labels_have_to_be_as_many_as_the_classes(invoke: Invoke, tmp_path: Path) -> None:
    path = convolving(tmp_path / "m.onnx", ["n", 3, 16, 16])
    inputs = {"type": "image", "input_name": "x", "height": 16, "width": 16}
    interface = {"task": "image-classification", "outputs": ["y"], "labels": ["a", "b", "c"]}
    beside = tmp_path / "m.interface.json"
    beside.write_text(json.dumps(interface | {"inputs": inputs}), "utf-8")
    done = invoke("plan", "-t", "rpi4", "-m", path, "--store", tmp_path / "store")
    assert done.code == 2
    assert "3 labels are given, and the output y has the form ['n', 5]" in done.paragraph
