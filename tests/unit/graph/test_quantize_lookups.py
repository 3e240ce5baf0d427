"""Large tables become rows of integers; what is small, or looked up along other axes, stays."""

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.graph.index import GraphIndex
from deployopt.graph.quantize_lookups import is_lookup, quantize_lookup


def indexed(rows: int, axis: int) -> tuple[GraphIndex, onnx.NodeProto]:
    table = np.random.default_rng(0).standard_normal((rows, 128)).astype(np.float32)
    node = make.make_node("Gather", ["table", "ids"], ["x"], name="lookup", axis=axis)
    ids = make.make_tensor_value_info("ids", onnx.TensorProto.INT64, [None])
    out = make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, None)
    weights = [onnx.numpy_helper.from_array(table, "table")]
    model = make.make_model(make.make_graph([node], "g", [ids], [out], weights))
    return GraphIndex(model), node


@pytest.mark.parametrize(
    ("rows", "axis", "expected"), [(8192, 0, True), (8191, 0, False), (8192, 1, False)]
)
def test_large_tables_by_row_only(rows: int, axis: int, *, expected: bool) -> None:
    assert is_lookup(*indexed(rows, axis)) is expected


def test_a_table_that_is_read_twice_is_stored_once() -> None:
    index, node = indexed(8192, 0)
    done: dict[str, tuple[str, str]] = {}
    for _ in "ab":
        nodes = quantize_lookup(index, node, done)
    assert [made.op_type for made in nodes] == ["Gather", "Gather", "Cast", "Mul"]
    kinds = [tensor.data_type for tensor in index.graph.initializer]
    assert kinds.count(onnx.TensorProto.INT8) == 1
