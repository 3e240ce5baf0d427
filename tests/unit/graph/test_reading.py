"""ONNX files from elsewhere: the good load, the rest are refused in one sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest

from deployopt.core.errors import ExitCode, RefusedInputError
from deployopt.graph.reading import check_onnx, load_onnx, opset_of, read_graph

Save = Callable[[onnx.ModelProto], Path]


def test_a_good_file_loads_whole(text_model: onnx.ModelProto, saved: Save) -> None:
    model = load_onnx(saved(text_model))
    assert model == text_model
    assert opset_of(model) == 17


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am text", b"\x7fELF\x02\x01\x01", b"\x80\x04K*."]
)
def test_what_is_no_onnx_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(
        RefusedInputError, match=r"model\.onnx was not opened: it is not an ONNX"
    ) as e:
        load_onnx(path)
    assert e.value.exit_code is ExitCode.INTEGRITY
    assert str(e.value).count("\n") == 0


def test_a_truncated_file_is_refused(text_model: onnx.ModelProto, saved: Save) -> None:
    path = saved(text_model)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RefusedInputError, match="corrupt"):
        load_onnx(path)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedInputError, match="not a regular file"):
        load_onnx(tmp_path)
    with pytest.raises(RefusedInputError, match="No such file"):
        load_onnx(tmp_path / "none.onnx")


def test_a_file_over_the_format_s_limit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployopt.graph.reading.MAX_FILE_BYTES", 10)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"0" * 11)
    with pytest.raises(RefusedInputError, match="over 2 GB"):
        read_graph(path)


def test_a_malformed_graph_is_refused_by_the_child(
    text_model: onnx.ModelProto, saved: Save
) -> None:
    text_model.graph.node[3].input[0] = "nothing makes this"
    with pytest.raises(RefusedInputError, match="malformed"):
        check_onnx(saved(text_model))


def test_mutants_never_get_past_reading_with_another_error(
    text_model: onnx.ModelProto, saved: Save
) -> None:
    """Bytes of the graph, not of the weights, are changed: that is where a parser can trip."""
    del text_model.graph.initializer[:]
    whole = saved(text_model).read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    path = saved(text_model)
    for _ in range(1500):
        mutant = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            mutant[random.integers(len(mutant))] = random.integers(256)
        path.write_bytes(mutant)
        try:
            load_onnx(path, trusted=True)
        except RefusedInputError:
            refused += 1
    assert refused > 300


def test_the_newest_of_several_imports_counts() -> None:
    model = onnx.ModelProto()
    model.opset_import.extend([make.make_opsetid("com.microsoft", 99), make.make_opsetid("", 15)])
    assert opset_of(model) == 15
