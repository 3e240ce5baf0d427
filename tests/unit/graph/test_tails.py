"""Played to any place and asked from there, a graph answers as it does whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.running import Session, open_as_shipped
from deployopt.graph.tails import Graph, Open, Playing, Weights

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


@pytest.fixture
def start(tmp_path: Path) -> Open:
    def opened(model: onnx.ModelProto, beside: Weights) -> Session:
        return open_as_shipped(model, beside, tmp_path / "s.onnx", SessionOptions(), 1)

    return opened


def test_every_place_of_a_text_model(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers, start: Open, tmp_path: Path
) -> None:
    expected = answers(text_model, texts)
    playing = Playing(Graph(text_model), "logits", texts, start)
    for place in range(len(text_model.graph.node)):
        playing.advance(place)
        for found, wanted in zip(playing.answers(*playing.tail()), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert list(tmp_path.iterdir()) == []
    assert playing.most_bytes > 30 * 128 * 4


def test_every_other_place_of_a_convolution_net(
    conv_model: onnx.ModelProto, images: Feeds, answers: Answers, start: Open
) -> None:
    expected = answers(conv_model, images)
    playing = Playing(Graph(conv_model), "logits", images, start)
    for place in range(1, len(conv_model.graph.node), 2):
        playing.advance(place)
        for found, wanted in zip(playing.answers(*playing.tail()), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_large_weights_lie_beside_but_for_those_asked_for(
    text_model: onnx.ModelProto, texts: Feeds, start: Open
) -> None:
    playing = Playing(Graph(text_model), "logits", texts, start)
    model, beside = playing.tail(inside=("q.w",))
    assert [t.name for t in model.graph.initializer] == ["head.b", "k.b", "last.w", "q.b", "q.w",
        "v.b"]  # fmt: skip
    assert set(beside) == {"table", "k.w", "v.w", "head.w"}


def test_what_a_nested_graph_reads_is_carried_along(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers, start: Open
) -> None:
    """A branch inside an If reads `x` of the graph around it."""
    branch = make.make_graph(
        [make.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0)],
        "branch",
        [],
        [make.make_tensor_value_info("m", onnx.TensorProto.FLOAT, None)],
    )
    text_model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))  # noqa: FBT003
    extra = [
        make.make_node("If", ["yes"], ["means"], then_branch=branch, else_branch=branch),
        make.make_node("Add", ["pooled", "means"], ["both"]),
    ]
    at = next(n for n, node in enumerate(text_model.graph.node) if node.name == "head")
    text_model.graph.node[at].input[0] = "both"
    for node in reversed(extra):
        text_model.graph.node.insert(at, node)
    expected = answers(text_model, texts)
    playing = Playing(Graph(text_model), "logits", texts, start)
    playing.advance(at)
    found = playing.answers(*playing.tail())
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=1e-5)


def test_a_request_that_does_not_run_is_an_error(text_model: onnx.ModelProto, start: Open) -> None:
    bad = [{"input_ids": np.array([[99_999]])}]
    playing = Playing(Graph(text_model), "logits", bad, start)
    with pytest.raises(StepError, match="A request does not run"):
        playing.advance(2)
