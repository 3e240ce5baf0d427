"""Shapes where ONNX's own inference has nothing to say."""

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper

from deployopt.graph.shapes import known_shapes

FLOAT = onnx.TensorProto.FLOAT


def model(
    nodes: list[onnx.NodeProto], output: list[int | str], classical: int = 5
) -> onnx.ModelProto:
    graph = make.make_graph(
        nodes,
        "g",
        [make.make_tensor_value_info("x", FLOAT, ["batch", 32])],
        [make.make_tensor_value_info("y", FLOAT, output)],
        [onnx.numpy_helper.from_array(np.array(3), "times"),
         onnx.numpy_helper.from_array(np.ones((), np.bool_), "go")],
    )  # fmt: skip
    stamps = [make.make_opsetid("", 17), make.make_opsetid("ai.onnx.ml", classical)]
    return make.make_model(graph, opset_imports=stamps, ir_version=8)


def scaled() -> onnx.NodeProto:
    return make.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0])


def test_what_the_file_declares_is_taken_where_nothing_is_inferred() -> None:
    assert known_shapes(model([scaled()], ["batch", 32]), {"batch": 2})[0]["y"] == (2, 32)


def test_a_size_that_nothing_is_known_of_is_not_made_up() -> None:
    assert "y" not in known_shapes(model([scaled()], ["rows", 32]), {"batch": 2})[0]


def test_a_loop_gives_what_it_carries() -> None:
    body = make.make_graph(
        [make.make_node("Tanh", ["in"], ["out"]), make.make_node("Identity", ["on"], ["still"])],
        "body",
        [make.make_tensor_value_info("at", onnx.TensorProto.INT64, []),
         make.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
         make.make_tensor_value_info("in", FLOAT, None)],
        [make.make_tensor_value_info("still", onnx.TensorProto.BOOL, []),
         make.make_tensor_value_info("out", FLOAT, None)],
    )  # fmt: skip
    loop = make.make_node("Loop", ["times", "go", "x"], ["l"], body=body)
    nodes = [loop, make.make_node("Relu", ["l"], ["y"])]
    assert known_shapes(model(nodes, ["rows", 32]), {"batch": 2})[0]["y"] == (2, 32)


def test_an_operator_is_of_its_own_domain_s_version() -> None:
    """Trees were dropped from version 5 of their domain on, whatever the opset of the others."""
    trees = make.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=3)
    for version, expected in ((3, (2, 3)), (5, None)):
        found, _ = known_shapes(model([trees], ["rows", 3], version), {"batch": 2})
        assert found.get("y") == expected
