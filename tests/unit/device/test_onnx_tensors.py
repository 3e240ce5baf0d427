"""Inputs and outputs of an ONNX file, without the package."""

from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.device.onnx_tensors import read_onnx_tensors
from deployopt.device.tensors import Tensor


def write(path: Path, *inputs: Any, weight: int = 2) -> Path:
    onnx = pytest.importorskip("onnx")
    numpy_helper, helper = onnx.numpy_helper, onnx.helper
    import numpy as np

    weights = numpy_helper.from_array(np.zeros((weight, 2), dtype=np.float32), "w")
    nodes = [helper.make_node("Identity", ["w"], ["y"])]
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [weight, 2])
    graph = helper.make_graph(nodes, "g", list(inputs), [out], [weights])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize("weight", [2, 5000])
def test_types_and_shapes(tmp_path: Path, weight: int) -> None:
    onnx = pytest.importorskip("onnx")
    make, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    path = write(
        tmp_path / "m.onnx",
        make("a", types.FLOAT16, ["n", 3, None]),
        make('b"\n', types.STRING, []),
        make("c", types.BOOL, [-1, 0]),
        weight=weight,
    )
    found = read_onnx_tensors(path)
    assert found.inputs == (
        Tensor(name="a", dtype="float16", shape=("n", 3, "")),
        Tensor(name='b"\n', dtype="string", shape=()),
        Tensor(name="c", dtype="bool", shape=("", "")),
    )
    assert found.outputs == (Tensor(name="y", dtype="float32", shape=(weight, 2)),)


def test_what_is_no_array_or_no_model(tmp_path: Path, assets: Path) -> None:
    onnx = pytest.importorskip("onnx")
    many = onnx.helper.make_tensor_sequence_value_info("s", onnx.TensorProto.FLOAT, None)
    with pytest.raises(RefusedInputError, match="'s' is no array"):
        read_onnx_tensors(write(tmp_path / "m.onnx", many))
    data = (assets / "text.onnx").read_bytes()
    (tmp_path / "short").write_bytes(data[: len(data) // 2])
    with pytest.raises(RefusedInputError, match="not an ONNX file"):
        read_onnx_tensors(tmp_path / "short")
    with pytest.raises(RefusedInputError, match="not an ONNX file"):
        read_onnx_tensors(tmp_path / "none")
