"""An earlier result is read strictly."""

from pathlib import Path

import pytest

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.remote.emulation.earlier import read_result
from tests.fakes.emulated import compared, emulate_result


def test_what_was_printed_is_read(tmp_path: Path) -> None:
    result = emulate_result(compared=compared())
    path = tmp_path / "result.json"
    path.write_bytes(encode_pretty(result))
    assert read_result(path) == result


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UsageError, match="emulate BUNDLE --json > FILE"):
            read_result(path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema_version": 1}', "\xff"])
def test_something_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, "latin-1")
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_result(path)


def test_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text('{"schema_version": 2, "news": true}')
    with pytest.raises(IntegrityError, match="schema version 2"):
        read_result(path)
