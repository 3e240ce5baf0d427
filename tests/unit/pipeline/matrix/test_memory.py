"""A build's memory follows from the weights, wherever they are told."""

from pathlib import Path

from deployopt.catalogue.models import find_entry
from deployopt.pipeline.matrix.memory import (
    BASE_BYTES,
    COPIES,
    GRAPH_BASE_BYTES,
    UNKNOWN_BYTES,
    predicted_bytes,
    too_large,
    weight_bytes,
)


def test_an_alias_is_known(tmp_path: Path) -> None:
    entry = find_entry("bert-base")
    assert weight_bytes("bert-base") == 4 * entry.parameters
    assert predicted_bytes("bert-base") == BASE_BYTES + COPIES * 4 * entry.parameters
    assert weight_bytes("hub:org/name") == UNKNOWN_BYTES
    assert tmp_path.is_dir()


def test_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"0" * 100)
    (tmp_path / "m.onnx.data").write_bytes(b"0" * 1000)
    (tmp_path / "m.interface.json").write_bytes(b"0" * 10)
    assert weight_bytes(str(tmp_path / "m.onnx")) == 1100
    assert predicted_bytes(str(tmp_path / "m.onnx")) == GRAPH_BASE_BYTES + COPIES * 1100
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"0" * 50)
    (folder / "config.json").write_text("{}")
    assert weight_bytes(str(folder)) == 50


def test_what_is_too_large_is_said() -> None:
    assert too_large("a", 10, 10) is None
    assert too_large("llama", 2**35, 2**33) == (
        "Building llama is predicted to take 32.0 GiB of memory, and this machine has 8.00 GiB. It "
        "was not begun. Build it on a machine with more memory."
    )
