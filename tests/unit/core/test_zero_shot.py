"""Fixed captions beside a model, written and read again."""

from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError
from deployopt.core.zero_shot import FILE, ZeroShot, encode_zero_shot, read_zero_shot


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    assert read_zero_shot(tmp_path) is None
    fixed = ZeroShot(labels=("cat", "dog"), captions=(((1, 2), (1, 3, 2)), ((1, 4, 2),)))
    (tmp_path / FILE).write_bytes(encode_zero_shot(fixed))
    assert read_zero_shot(tmp_path) == fixed


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"labels": ["cat"]}')
    with pytest.raises(IntegrityError, match=FILE):
        read_zero_shot(tmp_path)
