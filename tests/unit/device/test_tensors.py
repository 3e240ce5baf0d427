"""What a model's file declares."""

from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError
from deployopt.device.tensors import Tensor, read_tensors


def test_an_onnx_file(assets: Path) -> None:
    found = read_tensors(assets / "text.onnx", "onnxruntime")
    assert found.inputs[0] == Tensor(name="input_ids", dtype="int64", shape=("batch", "length"))
    assert found.outputs == (Tensor(name="logits", dtype="float32", shape=("batch", 2)),)


@pytest.mark.openvino
def test_an_openvino_model(tmp_path: Path, assets: Path) -> None:
    from deployopt.core.quiet import imported_quietly

    with imported_quietly():
        import openvino
    model = openvino.convert_model(assets / "image.onnx")
    openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    found = read_tensors(tmp_path / "model.xml", "openvino")
    assert found.inputs == (Tensor(name="pixels", dtype="float32", shape=("", 3, 16, 16)),)
    assert found.outputs == (Tensor(name="logits", dtype="float32", shape=("", 4)),)
    (tmp_path / "model.xml").write_text("<?xml version='1.0'?><net>")
    with pytest.raises(IntegrityError, match=r"model\.xml is not a model"):
        read_tensors(tmp_path / "model.xml", "openvino")
