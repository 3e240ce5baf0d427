"""What came from another machine is no step's result before it was looked at."""

import json
from pathlib import Path

import pytest

from deployopt.core.artifact import Format, SessionOptions
from deployopt.core.errors import RefusedInputError
from deployopt.pipeline.received import check_received, check_session, may_be_shared
from tests.fakes import models


def test_engines_are_native_code_and_never_come() -> None:
    kept = {form for form in Format if not may_be_shared(form)}
    # Nor does what draws, for which there is no such look yet.
    assert kept == {Format.ENGINE, Format.DIFFUSERS, Format.DRAWING}


def test_a_graph_is_opened_by_a_confined_process(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    models.write_mlp(tmp_path / "model.onnx")
    check_received(Format.ONNX, tmp_path, "model.onnx")
    with pytest.raises(RefusedInputError, match=r"has no file 'other\.onnx'"):
        check_received(Format.ONNX, tmp_path, "other.onnx")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07nothing of the kind")
    with pytest.raises(RefusedInputError):
        check_received(Format.ONNX, tmp_path, "model.onnx")


def test_a_graph_may_not_name_files_elsewhere(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    (tmp_path / "share").mkdir()
    path = models.write_mlp(tmp_path / "share" / "model.onnx")
    model = onnx.load(str(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    (tmp_path / "secret").write_bytes(bytes(1 << 16))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(RefusedInputError, match="secret"):
        check_received(Format.ONNX, path.parent, "model.onnx")


@pytest.mark.parametrize("name", ["modeling.py", "weights.bin", "op.so", "training_args.pt"])
def test_code_beside_a_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_text("x")
    with pytest.raises(RefusedInputError, match=f"'{name}' could be code"):
        check_received(Format.TRANSFORMERS, tmp_path, "config.json")


def test_a_config_may_not_name_code(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    check_received(Format.TRANSFORMERS, tmp_path, "config.json")
    config.write_text(json.dumps({"a": [{"auto_map": {"AutoModel": "evil--evil.Evil"}}]}))
    with pytest.raises(RefusedInputError, match="auto_map asks for code"):
        check_received(Format.TRANSFORMERS, tmp_path, "config.json")


def test_a_config_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("x")
    (tmp_path / "config.json").mkdir()
    (tmp_path / "config.json" / "a").write_text("{}")
    with pytest.raises(RefusedInputError, match=r"'config\.json' is a folder"):
        check_received(Format.TRANSFORMERS, tmp_path, "model.safetensors")


def test_a_decoder_may_not_name_libraries(tmp_path: Path) -> None:
    (tmp_path / "genai_config.json").write_text('{"model": {"decoder": {"custom_ops": "x"}}}')
    with pytest.raises(RefusedInputError, match=r"genai_config\.json cannot be used"):
        check_received(Format.GENAI, tmp_path, "genai_config.json")


def test_an_openvino_model_is_two_files(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net/>")
    (tmp_path / "model.bin").write_bytes(b"0")
    check_received(Format.OPENVINO, tmp_path, "model.xml")
    (tmp_path / "extension.so").write_bytes(b"0")
    with pytest.raises(RefusedInputError, match=r"'extension\.so' is no part of an OpenVINO"):
        check_received(Format.OPENVINO, tmp_path, "model.xml")


def test_a_stranger_does_not_say_what_the_runtime_opens() -> None:
    """Entries that name files or libraries would only fail later, and again in every build."""
    ours = SessionOptions(config_entries={"session.disable_quant_qdq": "1"})
    check_session(Format.ONNX, ours)
    check_session(Format.OPENVINO, SessionOptions())
    wrong = SessionOptions(config_entries={"ep.context_file_path": "/etc/passwd"})
    with pytest.raises(RefusedInputError, match=r"'ep\.context_file_path' is not one"):
        check_session(Format.ONNX, wrong)
    with pytest.raises(RefusedInputError, match="names settings of OpenVINO"):
        check_session(Format.OPENVINO, SessionOptions(config_entries={"CACHE_DIR": "/x"}))
