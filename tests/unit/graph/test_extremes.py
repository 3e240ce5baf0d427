"""The largest magnitude of a value, by the graph that makes it."""

import numpy as np
import onnx
import onnx.helper as make
import onnxruntime
import pytest

from deployopt.core.samples import Array
from deployopt.graph.extremes import largest_of

FLOAT = onnx.TensorProto.FLOAT


def doubling(opset: int = 17) -> onnx.ModelProto:
    """Each value added to itself."""
    graph = make.make_graph(
        [
            make.make_node("Add", ["x", "x"], ["between"]),
            make.make_node("Add", ["between", "between"], ["y"]),
        ],
        "g",
        [make.make_tensor_value_info("x", FLOAT, ["batch", 3])],
        [make.make_tensor_value_info("y", FLOAT, ["batch", 3])],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", opset)], ir_version=8)


def largest(model: onnx.ModelProto, x: Array) -> dict[str, float]:
    with largest_of(model, ["x", "between", "y"]) as outputs:
        asked = onnx.ModelProto()
        asked.CopyFrom(model)
        for name in outputs.values():
            asked.graph.output.append(make.make_tensor_value_info(name, FLOAT, None))
        session = onnxruntime.InferenceSession(
            asked.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found = session.run(list(outputs.values()), {"x": x})
    return {name: float(one) for name, one in zip(outputs, found, strict=True)}


@pytest.mark.parametrize("opset", [13, 17, 18, 20])
def test_each_value_has_its_own(opset: int) -> None:
    x = np.array([[1, -5, 3], [4, 0, 2]], dtype=np.float32)
    assert largest(doubling(opset), x) == {"x": 5.0, "between": 10.0, "y": 20.0}


def test_what_stands_for_infinity_does_not_count() -> None:
    x = np.array([[-3.4e38, 1.0, -np.inf]], dtype=np.float32)
    assert largest(doubling(), x) == {"x": 1.0, "between": 2.0, "y": 4.0}


def test_what_is_no_number_is_told() -> None:
    x = np.array([[np.nan, 1.0, 2.0]], dtype=np.float32)
    assert all(np.isnan(one) for one in largest(doubling(), x).values())


def test_of_nothing_there_is_no_largest() -> None:
    found = largest(doubling(), np.zeros((0, 3), dtype=np.float32))
    assert all(one == -np.inf for one in found.values())


def test_the_model_is_left_as_it_was() -> None:
    model = doubling()
    before = model.SerializeToString()
    with largest_of(model, ["x", "y"]):
        assert model.SerializeToString() != before
    assert model.SerializeToString() == before
