"""A transposed constant becomes one, with the same numbers."""

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import onnxruntime

from deployopt.graph.fold_transposes import fold_transposes


def graph(perm: list[int] | None) -> onnx.ModelProto:
    head = np.arange(12, dtype=np.float32).reshape(3, 4)
    turn = make.make_node("Transpose", ["head"], ["table"], **({"perm": perm} if perm else {}))
    nodes = [
        turn,
        make.make_node("Gather", ["table", "ids"], ["x"]),
        make.make_node("Transpose", ["x"], ["y"], perm=[1, 0]),
    ]
    built = make.make_graph(
        nodes,
        "g",
        [make.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["n"])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(head, "head")],
    )
    return make.make_model(built, opset_imports=[make.make_opsetid("", 17)], ir_version=8)


def answer(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: np.ndarray = session.run(None, {"ids": np.array([0, 2], np.int64)})[0]
    return found


def test_only_a_constant_is_folded() -> None:
    for perm in (None, [1, 0]):
        model = graph(perm)
        before = answer(model)
        assert fold_transposes(model) == 1
        assert [node.op_type for node in model.graph.node] == ["Gather", "Transpose"]
        np.testing.assert_array_equal(answer(model), before)
    unturned = graph([0, 1])
    assert fold_transposes(unturned) == 0
