"""Constant and Identity nodes go, and nothing else changes."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.helper as make

from deployopt.core.samples import Array
from deployopt.graph.rewrite_constants import give_constant_outputs, lift_constants

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


def test_constants_and_copies_of_weights_go(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers
) -> None:
    before = answers(text_model, texts)
    tensor = next(t for t in text_model.graph.initializer if t.name == "q.w")
    constant = make.make_node("Constant", [], ["q.w"], value=tensor)
    text_model.graph.initializer.remove(tensor)
    copies = [make.make_node("Identity", [a], [b]) for a, b in (("q.w", "c1"), ("c1", "c2"))]
    nodes = [constant, *copies, *text_model.graph.node]
    for node in nodes:
        if node.op_type == "MatMul" and node.input[1] == "q.w":
            node.input[1] = "c2"
    del text_model.graph.node[:]
    text_model.graph.node.extend(nodes)
    assert lift_constants(text_model) == 3
    assert not {"Constant", "Identity"} & {node.op_type for node in text_model.graph.node}
    for old, new in zip(before, answers(text_model, texts), strict=True):
        assert np.array_equal(old, new)


def test_a_copy_of_an_activation_and_a_constant_output_stay() -> None:
    value = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    graph = make.make_graph(
        [
            make.make_node("Identity", ["x"], ["y"]),
            make.make_node("Constant", [], ["c"], value=value),
        ],
        "g",
        [make.make_tensor_value_info("x", 1, [1])],
        [make.make_tensor_value_info("y", 1, [1]), make.make_tensor_value_info("c", 1, [1])],
    )
    model = make.make_model(graph)
    assert lift_constants(model) == 0
    assert len(model.graph.node) == 2


def test_an_output_that_is_a_weight_can_be_given_by_a_node(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers
) -> None:
    before = answers(text_model, texts)
    assert give_constant_outputs(text_model) == 0
    value = make.make_tensor_value_info("last.w", onnx.TensorProto.FLOAT, [128, 2])
    text_model.graph.output.append(value)
    assert give_constant_outputs(text_model) == 1
    assert "last.w" not in {tensor.name for tensor in text_model.graph.initializer}
    for old, new in zip(before, answers(text_model, texts), strict=True):
        assert np.array_equal(old, new)
