"""Answers on disk."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.core.samples import encode_samples
from deployopt.device.generating.token_files import decode_answers, encode_answers


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "answers.npz"
    path.write_bytes(encode_answers([[1, 2, 3], [], [4]]))
    assert decode_answers(path, 3) == ((1, 2, 3), (), (4,))


def test_an_answer_for_each_prompt_or_none_at_all(tmp_path: Path) -> None:
    path = tmp_path / "answers.npz"
    path.write_bytes(encode_answers([[1]]))
    with pytest.raises(IntegrityError, match="each of 2"):
        decode_answers(path, 2)
    path.write_bytes(encode_samples([{"others": np.asarray([1])}]))
    with pytest.raises(IntegrityError):
        decode_answers(path, 1)
