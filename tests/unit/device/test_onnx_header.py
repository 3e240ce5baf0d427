"""The stamps of an ONNX file."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployopt.core.errors import RefusedInputError
from deployopt.device.onnx_header import read_onnx_header


def test_versions_are_read_without_onnx(assets: Path) -> None:
    header = read_onnx_header(assets / "text.onnx")
    assert header.ir_version == 8
    assert header.opsets == {"": 17}
    assert read_onnx_header(assets / "future.onnx").opsets == {"": 99}


@pytest.mark.parametrize("data", [b"", b"hello world", b"\x80\x80", b"\x0a\xff\xff\xff\x7f", b"[]"])
def test_what_is_not_onnx_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(RefusedInputError, match="not an ONNX file"):
        read_onnx_header(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedInputError):
        read_onnx_header(tmp_path / "none.onnx")


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.onnx"
    path.write_bytes(data)
    with suppress(RefusedInputError):
        read_onnx_header(path)
