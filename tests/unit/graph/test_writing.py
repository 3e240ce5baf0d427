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


@pytest.mark.parametrize("limit", [0, 2**40])
def test_weights_beside_the_model_are_written_as_if_they_were_in_it(
    text_model: onnx.ModelProto, tmp_path: Path, limit: int
) -> None:
    whole = onnx.ModelProto.FromString(text_model.SerializeToString())
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in text_model.graph.initializer}
    # A view in another order, a scalar, and an empty one.
    arrays["last.w"] = np.asfortranarray(arrays["last.w"])
    arrays["one"] = np.array(3, np.int64)
    arrays["none"] = np.zeros((0, 2), np.float32)
    whole.graph.initializer.extend(
        onnx.numpy_helper.from_array(arrays[name], name) for name in ("one", "none")
    )
    del text_model.graph.initializer[:]
    path = tmp_path / "model.onnx"
    save_onnx(text_model, path, limit, arrays)
    found = load_onnx(path, trusted=True)
    assert [t.name for t in found.graph.initializer] == [t.name for t in whole.graph.initializer]
    for one, other in zip(found.graph.initializer, whole.graph.initializer, strict=True):
        expected = onnx.numpy_helper.to_array(other)
        assert np.array_equal(onnx.numpy_helper.to_array(one), expected)
