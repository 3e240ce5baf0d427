"""An attention mask that is built in many nodes is built in three, where it is just that."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.samples import Array
from deployopt.graph.rewrite_masks import shorten_masks
from tests.fakes.encoder_graph import encoder_graph

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


@pytest.fixture
def asked() -> Feeds:
    """Among them a text of which nothing is left."""
    random = np.random.default_rng(1)
    feeds = []
    for batch, tokens in ((1, 5), (4, 8)):
        mask = random.integers(0, 2, (batch, tokens))
        mask[0] = 0
        ids = random.integers(0, 50, (batch, tokens))
        feeds.append({"input_ids": ids, "attention_mask": mask})
    return feeds


def named(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def add_numbers(model: onnx.ModelProto, **numbers: int) -> None:
    for name, number in numbers.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(number), name))


def test_three_nodes_say_the_same(asked: Feeds, answers: Answers) -> None:
    model = encoder_graph(layers=2)
    before, nodes = answers(model, asked), len(model.graph.node)
    assert shorten_masks(model) == 1
    onnx.checker.check_model(model, full_check=True)
    assert len(model.graph.node) == nodes - 9 + 3
    assert "Expand" not in {node.op_type for node in model.graph.node}
    for old, new in zip(before, answers(model, asked), strict=True):
        assert np.array_equal(old, new)
    assert shorten_masks(model) == 0  # there is nothing left to shorten


def test_a_mask_that_looks_back_only_stays() -> None:
    """A causal mask differs from row to row."""
    model = encoder_graph(layers=1)
    named(model, "mask").output[0] = "wide"
    nodes = [
        make.make_node("Squeeze", ["tokens"], ["count"]),
        make.make_node("Range", ["none", "count", "step"], ["columns"]),
        make.make_node("Unsqueeze", ["columns", "unit"], ["lines"]),
        make.make_node("LessOrEqual", ["columns", "lines"], ["back"]),
        make.make_node("Where", ["back", "wide", "least"], ["mask"]),
    ]
    at = [node.name for node in model.graph.node].index("mask") + 1
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + offset, node)
    add_numbers(model, none=0, step=1)
    onnx.checker.check_model(model, full_check=True)
    assert shorten_masks(model) == 0


@pytest.mark.parametrize("change", ["other number", "per token", "output"])
def test_what_says_more_stays(change: str) -> None:
    model = encoder_graph(layers=1)
    if change == "other number":  # a token that is there adds something too
        weight = next(t for t in model.graph.initializer if t.name == "one")
        weight.CopyFrom(onnx.numpy_helper.from_array(np.array(1.5, np.float32), "one"))
    elif change == "per token":  # what is added depends on which token is missing
        named(model, "added").input[1] = "positions"
        graph = model.graph
        at = list(graph.node).index(named(model, "added"))
        graph.node.insert(at, make.make_node("Cast", ["ranged"], ["positions"], to=1))
        graph.node.insert(at, make.make_node("Range", ["none", "count", "step"], ["ranged"]))
        graph.node.insert(at, make.make_node("Squeeze", ["tokens"], ["count"]))
        add_numbers(model, none=0, step=1)
    else:
        model.graph.output.append(make.make_tensor_value_info("mask", 1, None))
    assert shorten_masks(model) == 0


def test_a_fixed_length_stays() -> None:
    assert shorten_masks(encoder_graph(layers=1, tokens=6)) == 0
