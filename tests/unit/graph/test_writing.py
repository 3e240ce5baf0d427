"""The streaming writer against onnx's own reader."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from deployopt.core.samples import Array
from deployopt.graph.reading import load_onnx
from deployopt.graph.writing import save_onnx


def test_the_file_is_what_onnx_reads_back(text_model: onnx.ModelProto, tmp_path: Path) -> None:
    text_model.metadata_props.add(key="k", value="v")
    text_model.graph.initializer[0].doc_string = "words"
    text_model.graph.initializer.append(
        onnx.helper.make_tensor("typed", onnx.TensorProto.INT64, [3], [1, 2, 300])
    )
    save_onnx(text_model, tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx") == text_model
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_the_same_model_gives_the_same_bytes(text_model: onnx.ModelProto, tmp_path: Path) -> None:
    for name in "ab":
        save_onnx(text_model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("limit", [0, 100_000])
def test_above_the_limit_weights_go_to_one_file_beside(
    text_model: onnx.ModelProto, texts: list[dict[str, Array]], tmp_path: Path, limit: int
) -> None:
    whole = onnx.ModelProto.FromString(text_model.SerializeToString())
    path = tmp_path / "model.onnx"
    save_onnx(text_model, path, external_above_bytes=limit)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert path.stat().st_size < 20_000
    assert load_onnx(path) == whole
    outputs = [
        onnxruntime.InferenceSession(m, providers=["CPUExecutionProvider"]).run(None, texts[0])[0]
        for m in (path, whole.SerializeToString())
    ]
    assert np.array_equal(*outputs)
