"""Only the first token is read: the last layer then works for it alone, and says the same."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.samples import Array
from deployopt.graph.rewrite_first_token import keep_first_token
from deployopt.graph.rewrite_qkv import merge_shared_matmuls
from tests.fakes.encoder_graph import encoder_graph

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


@pytest.fixture
def asked() -> Feeds:
    """Of several lengths and batches, some tokens being padding."""
    random = np.random.default_rng(0)
    feeds = []
    for batch, tokens in ((1, 1), (1, 6), (3, 9)):
        mask = np.ones((batch, tokens), np.int64)
        mask[1:, tokens // 2 :] = 0
        ids = random.integers(0, 50, (batch, tokens))
        feeds.append({"input_ids": ids, "attention_mask": mask})
    return feeds


def close(before: list[Array], after: list[Array]) -> bool:
    return all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(before, after, strict=True))


def slices(model: onnx.ModelProto) -> set[str]:
    return {node.input[0] for node in model.graph.node if node.op_type == "Slice"}


def test_the_last_layer_is_that_of_one_token(asked: Feeds, answers: Answers) -> None:
    model = encoder_graph(layers=2)
    before = answers(model, asked)
    assert keep_first_token(model) == 4  # query, attention's output, both of the feed-forward part
    onnx.checker.check_model(model, full_check=True)
    assert slices(model) == {"layer0.out", "mask"}
    assert close(before, answers(model, asked))


def test_keys_and_values_still_merge(asked: Feeds, answers: Answers) -> None:
    model = encoder_graph(layers=2)
    before = answers(model, asked)
    keep_first_token(model)
    assert merge_shared_matmuls(model) == 2
    assert close(before, answers(model, asked))


@pytest.mark.parametrize("reader", ["mean", "second token", "output"])
def test_where_more_is_read_nothing_changes(reader: str) -> None:
    model = encoder_graph(layers=1)
    pick = next(node for node in model.graph.node if node.name == "pick")
    if reader == "mean":
        model.graph.node.remove(pick)
        mean = make.make_node("ReduceMean", pick.input[:1], pick.output, axes=[1], keepdims=0)
        model.graph.node.insert(len(model.graph.node) - 1, mean)
    elif reader == "second token":
        at = next(t for t in model.graph.initializer if t.name == pick.input[1])
        at.CopyFrom(onnx.numpy_helper.from_array(np.array(1), at.name))
    else:
        name = pick.input[0]
        model.graph.output.append(make.make_tensor_value_info(name, 1, [None, None, 8]))
    written = model.SerializeToString(deterministic=True)
    assert keep_first_token(model) == 0
    assert model.SerializeToString(deterministic=True) == written


def test_a_size_that_is_written_down_is_left_alone(answers: Answers) -> None:
    """Heads are split by a Reshape to six tokens: narrowing stops below it."""
    model = encoder_graph(layers=1, tokens=6)
    random = np.random.default_rng(0)
    asked: Feeds = [
        {
            "input_ids": random.integers(0, 50, (2, 6)),
            "attention_mask": np.ones((2, 6), np.int64),
        }
    ]
    before = answers(model, asked)
    assert keep_first_token(model) == 3  # all but the query
    assert close(before, answers(model, asked))


def test_a_value_that_a_second_reader_needs_whole_is_cut_behind(
    asked: Feeds, answers: Answers
) -> None:
    model = encoder_graph(layers=1)
    last = next(node for node in model.graph.node if node.name == "layer0.up")
    shape = [None, None, None]
    model.graph.output.append(make.make_tensor_value_info(last.input[0], 1, shape))
    before = answers(model, asked)
    assert keep_first_token(model) == 2  # the feed-forward part
    assert close(before, answers(model, asked))
