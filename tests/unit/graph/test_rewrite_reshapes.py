"""Computed targets of Reshape become constants, and only where they truly are."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.samples import Array
from deployopt.graph.rewrite_reshapes import drop_dead_nodes, settle_reshapes

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]
FLOAT = onnx.TensorProto.FLOAT


def model_of(*target: int | str, second: bool = False) -> onnx.ModelProto:
    """An x of [batch, length, 12] is reshaped to numbers and to sizes of x, named by axis."""
    nodes = [make.make_node("Shape", ["x"], ["shape"])]
    weights, parts = [], []
    for place, size in enumerate(target):
        name = f"part{place}"
        parts.append(name)
        if isinstance(size, int):
            weights.append(onnx.numpy_helper.from_array(np.array([size]), name))
            continue
        axis = onnx.numpy_helper.from_array(np.array([int(size)]), f"axis{place}")
        weights.append(axis)
        nodes.append(make.make_node("Gather", ["shape", axis.name], [name]))
    nodes += [
        make.make_node("Concat", parts, ["target"], axis=0),
        make.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    values = [make.make_tensor_value_info("x", FLOAT, ["batch", "length", 12])]
    if second:
        values.append(make.make_tensor_value_info("z", FLOAT, ["batch", "other", 12]))
        nodes[0].input[0] = "z"
    output = [make.make_tensor_value_info("y", FLOAT, [None] * len(target))]
    graph = make.make_graph(nodes, "g", values, output, weights)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


def settled(model: onnx.ModelProto) -> list[int]:
    reshape = next(node for node in model.graph.node if node.op_type == "Reshape")
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    numbers: list[int] = onnx.numpy_helper.to_array(weights[reshape.input[1]]).tolist()
    return numbers


@pytest.mark.parametrize(
    ("target", "constant"),
    [
        (("0", "1", 3, 4), [0, 0, 3, 4]),
        (("0", -1, 3, 4), [0, -1, 3, 4]),
        (("0", "1", -1, 4), [0, 0, -1, 4]),
        (("0", -1), [0, -1]),
        (("1", "0", 12), None),
        ((3, "1", "0", 4), [3, 0, -1, 4]),
    ],
)
def test_targets_come_out(
    target: tuple[int | str, ...], constant: list[int] | None, answers: Answers
) -> None:
    model = model_of(*target)
    random = np.random.default_rng(0)
    feeds: Feeds = [
        {"x": random.standard_normal((b, n, 12)).astype(np.float32)}
        for b, n in ((1, 5), (2, 5), (3, 8))
    ]
    before = answers(model, feeds)
    assert settle_reshapes(model) == (constant is not None)
    for old, new in zip(before, answers(model, feeds), strict=True):
        assert np.array_equal(old, new)
    if constant is not None:
        assert settled(model) == constant
        assert [node.op_type for node in model.graph.node] == ["Reshape"]


def test_a_size_of_another_input_that_is_free_by_itself_stays() -> None:
    model = model_of("0", "1", -1, second=True)
    assert settle_reshapes(model) == 0
    assert len(model.graph.node) == 5


def test_dead_nodes_go_and_what_a_branch_reads_stays() -> None:
    inner = make.make_graph(
        [make.make_node("Identity", ["kept"], ["z"])],
        "b",
        [],
        [make.make_tensor_value_info("z", FLOAT, [1])],
    )
    nodes = [
        make.make_node("Relu", ["x"], ["kept"]),
        make.make_node("Relu", ["x"], ["dead"]),
        make.make_node("Neg", ["dead"], ["dead too"]),
        make.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
    ]
    output = [make.make_tensor_value_info("y", FLOAT, [1])]
    model = make.make_model(make.make_graph(nodes, "g", [], output))
    assert drop_dead_nodes(model) == 2
    assert [node.output[0] for node in model.graph.node] == ["kept", "y"]
