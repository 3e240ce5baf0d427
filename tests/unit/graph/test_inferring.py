"""Types of values, of models that are too large to be handed over whole."""

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import onnx.shape_inference
import pytest

from deployopt.graph.inferring import infer_types


def model() -> onnx.ModelProto:
    """A product, and a reshape to sizes that are a weight."""
    graph = make.make_graph(
        [
            make.make_node("MatMul", ["x", "wide"], ["product"]),
            make.make_node("Reshape", ["product", "sizes"], ["shaped"]),
            make.make_node("Cast", ["shaped"], ["whole"], to=onnx.TensorProto.INT64),
            make.make_node("Identity", ["whole"], ["y"]),
        ],
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 64])],
        [make.make_tensor_value_info("y", onnx.TensorProto.INT64, None)],
        [
            onnx.numpy_helper.from_array(np.ones((64, 32), np.float32), "wide"),
            onnx.numpy_helper.from_array(np.array([4, 16]), "sizes"),
        ],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


def values(of: onnx.ModelProto) -> dict[str, str]:
    return {one.name: str(one.type) for one in of.graph.value_info}


def test_it_finds_what_onnx_finds_of_the_whole_model() -> None:
    whole, found = onnx.shape_inference.infer_shapes(model()), model()
    infer_types(found)
    assert values(found) == values(whole)
    assert set(values(found)) == {"product", "shaped", "whole"}
    assert [one.name for one in found.graph.input] == ["x"]
    assert len(found.graph.initializer) == 2


def test_large_weights_are_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[onnx.ModelProto] = []
    infer = onnx.shape_inference.infer_shapes

    def watch(shell: onnx.ModelProto) -> onnx.ModelProto:
        handed.append(shell)
        return infer(shell)

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", watch)
    infer_types(model())
    assert [one.name for one in handed[0].graph.initializer] == ["sizes"]
    assert handed[0].ByteSize() < 1024
