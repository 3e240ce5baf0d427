"""A rewriting is kept only when the graph still says the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph import optimizing
from deployopt.graph.optimizing import Chosen, optimize_graph

Feeds = list[dict[str, Array]]
Save = Callable[[onnx.ModelProto], Path]


@pytest.mark.parametrize("given", [True, False])
def test_products_are_merged_and_checked(
    text_model: onnx.ModelProto, texts: Feeds, saved: Save, tmp_path: Path, *, given: bool
) -> None:
    feeds = texts if given else []
    out = tmp_path / "model.onnx"
    done = optimize_graph(saved(text_model), out, feeds, Chosen(), threads=1)
    assert (done.merged, done.checked) == (1, True)
    assert done.difference < 1e-5
    assert sum(node.op_type == "Split" for node in onnx.load(out).graph.node) == 1


def test_a_rewriting_that_changes_the_answers_is_an_error(
    text_model: onnx.ModelProto,
    texts: Feeds,
    saved: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def swap(model: onnx.ModelProto) -> int:
        last = model.graph.node[3].input[1]
        model.graph.node[3].input[1], model.graph.node[1].input[1] = "q.w", last
        return 1

    monkeypatch.setattr(optimizing, "merge_shared_matmuls", swap)
    with pytest.raises(StepError, match=r"differs .*merge_qkv=False, first_token=False"):
        optimize_graph(saved(text_model), tmp_path / "out.onnx", texts, Chosen(), threads=1)


def test_a_graph_that_nothing_can_be_asked_of_is_left_alone(
    text_model: onnx.ModelProto, saved: Save, tmp_path: Path
) -> None:
    """Its input has to be three tokens long, and no one says so."""
    reshape = onnx.helper.make_node("Reshape", ["input_ids", "to"], ["ids"])
    shape = onnx.numpy_helper.from_array(np.array([1, 3]), "to")
    text_model.graph.initializer.append(shape)
    text_model.graph.node[0].input[1] = "ids"
    text_model.graph.node.insert(0, reshape)
    done = optimize_graph(saved(text_model), tmp_path / "o.onnx", [], Chosen(), threads=1)
    assert not done.checked
    assert onnx.load(tmp_path / "o.onnx") == text_model
