"""Weights that were inputs of a traced graph become part of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make

from deployopt.core.samples import Array
from deployopt.graph.attaching import attach_weights
from deployopt.graph.describing import describe_onnx

Feeds = list[dict[str, Array]]
Save = Callable[[onnx.ModelProto], Path]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


def test_the_model_is_whole_again(
    text_model: onnx.ModelProto, texts: Feeds, saved: Save, answers: Answers, tmp_path: Path
) -> None:
    expected = answers(text_model, texts)
    graph = text_model.graph
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    del graph.initializer[:]
    weights = {f"model.{n.replace('.w', '.weight')}": array for n, array in weights.items()}
    for name, array in weights.items():
        graph.input.append(make.make_tensor_value_info(name, 1, array.shape))
    for node in graph.node:
        for at, read in enumerate(node.input):
            name = f"model.{read.replace('.w', '.weight')}"
            node.input[at] = name if name in weights else read
    # One product reads its matrix transposed, as exporters of linear layers write it.
    weights["model.q.weight"] = np.ascontiguousarray(weights["model.q.weight"].T)
    turn = make.make_node("Transpose", ["model.q.weight"], ["turned"], perm=[1, 0])
    graph.node[1].input[1] = "turned"
    graph.node.insert(0, turn)
    attach_weights(saved(text_model), weights, tmp_path / "model.onnx")
    whole = onnx.load(tmp_path / "model.onnx")
    assert [i.name for i in describe_onnx(tmp_path / "model.onnx").inputs] == ["input_ids"]
    for old, new in zip(expected, answers(whole, texts), strict=True):
        assert np.array_equal(old, new)
    names = {node.name for node in whole.graph.node}
    assert {"q", "k", "v", "head", "last"} <= names
    turns = [n for n in whole.graph.node if n.op_type == "Transpose"]
    assert len(turns) == 1
    assert "model.q.weight" not in {t.name for t in whole.graph.initializer}
