"""Graphs larger, deeper or stranger than any real one are refused."""

from pathlib import Path

import onnx
import onnx.helper as make
import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.graph.limits import MAX_DEPTH, check_limits

PATH = Path("model.onnx")


def model_of(nodes: list[onnx.NodeProto], functions: list[onnx.FunctionProto]) -> onnx.ModelProto:
    value = make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = make.make_graph(nodes, "g", [value], [out])
    return make.make_model(graph, functions=functions)


def function(name: str, *calls: str) -> onnx.FunctionProto:
    nodes = [make.make_node(call, ["a"], ["b"], domain="own") for call in calls]
    nodes = nodes or [make.make_node("Relu", ["a"], ["b"])]
    return make.make_function("own", name, ["a"], ["b"], nodes, [make.make_opsetid("", 17)])


def test_own_functions_are_allowed() -> None:
    call = make.make_node("F", ["x"], ["y"], domain="own")
    check_limits(model_of([call], [function("F")]), PATH)


def test_an_operator_of_an_unknown_domain_is_refused() -> None:
    call = make.make_node("Run", ["x"], ["y"], domain="evil.ops")
    with pytest.raises(RefusedInputError, match=r"evil\.ops\.Run.*standard operators"):
        check_limits(model_of([call], []), PATH)


def test_an_unknown_operator_inside_a_branch_is_refused() -> None:
    inner = make.make_graph([make.make_node("Run", [], ["z"], domain="evil")], "inner", [], [])
    node = make.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    with pytest.raises(RefusedInputError, match=r"evil\.Run"):
        check_limits(model_of([node], []), PATH)


def test_functions_in_a_ring_are_refused() -> None:
    with pytest.raises(RefusedInputError, match="calls itself"):
        check_limits(model_of([], [function("F", "G"), function("G", "F")]), PATH)


def test_a_long_chain_of_functions_is_refused() -> None:
    chain = [function(f"F{i}", f"F{i + 1}") for i in range(3000)] + [function("F3000")]
    with pytest.raises(RefusedInputError, match=f"more than {MAX_DEPTH} deep"):
        check_limits(model_of([], chain), PATH)


def test_functions_that_blow_up_are_refused() -> None:
    bomb = [function(f"F{i}", *[f"F{i + 1}"] * 10) for i in range(10)] + [function("F10")]
    call = make.make_node("F0", ["x"], ["y"], domain="own")
    with pytest.raises(RefusedInputError, match="nodes when expanded"):
        check_limits(model_of([call], bomb), PATH)


def test_graphs_nested_too_deep_are_refused() -> None:
    graph = make.make_graph([make.make_node("Relu", ["x"], ["y"])], "leaf", [], [])
    for _ in range(MAX_DEPTH + 1):
        node = make.make_node("If", ["x"], ["y"], then_branch=graph)
        graph = make.make_graph([node], "g", [], [])
    with pytest.raises(RefusedInputError, match="nested deeper"):
        check_limits(model_of(list(graph.node), []), PATH)


@pytest.mark.parametrize("dims", [[-1], [2**50], [2**30, 2**30], [1] * 13])
def test_impossible_dimensions_are_refused(dims: list[int]) -> None:
    model = model_of([], [])
    model.graph.initializer.append(onnx.TensorProto(name="w", data_type=1, dims=dims))
    with pytest.raises(RefusedInputError, match="impossible dimensions"):
        check_limits(model, PATH)
