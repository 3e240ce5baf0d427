"""The rule by which a choice is found, and questions as a file."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.choices import (
    ChoiceQuestion,
    choice_of,
    decode_questions,
    encode_questions,
    flat_likelihoods,
    read_likelihoods,
)
from deployopt.core.errors import RefusedInputError
from deployopt.core.samples import decode_samples, encode_samples

QUESTION = ChoiceQuestion(prompt=(5, 6), choices=((1,), (2, 3), (4,)), sizes=(4, 8, 4), answer=1)
OTHER = ChoiceQuestion(prompt=(7,), choices=((1, 2, 3), (9,)), sizes=(10, 2), answer=0)


@pytest.mark.parametrize(
    ("likelihoods", "chosen"),
    [
        ((-4.0, -6.0, -5.0), 1),  # 1, 0.75 and 1.25 nats a byte
        ((-4.0, -9.0, -3.0), 2),
        ((-4.0, -8.0, -4.0), 0),  # all as likely: the first
        ((-4.0, -7.0, -3.5), 1),  # two as likely, behind the first
        ((-4.0, math.nan, -4.0), None),
        ((-4.0, -math.inf, -4.0), None),
    ],
)
def test_the_likeliest_by_its_bytes_is_chosen(
    likelihoods: tuple[float, ...], chosen: int | None
) -> None:
    assert choice_of(likelihoods, QUESTION) == chosen


def test_questions_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "q.npz"
    path.write_bytes(encode_questions([QUESTION, OTHER]))
    assert decode_questions(path) == (QUESTION, OTHER)
    assert QUESTION.tokens == 6
    path.write_bytes(encode_questions([]))
    assert decode_questions(path) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("answers", [1, 2]),
        ("answers", [-1, 0]),
        ("answers", [0]),
        ("counts", [3, 1]),
        ("counts", [4, 1]),
        ("lengths", [1, 2, 1, 3, 0]),
        ("lengths", [1, 2, 1, 3]),
        ("prompts", [0, 3]),
        ("bytes", [4, 8, 4, 10, 0]),
        ("tokens", [5, 6, 1]),
        ("tokens", np.zeros((2, 5), np.int64)),
        ("tokens", np.zeros(10, np.float64)),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(
    tmp_path: Path, name: str, value: list[int] | np.ndarray
) -> None:
    path = tmp_path / "q.npz"
    path.write_bytes(encode_questions([QUESTION, OTHER]))
    (feed,) = decode_samples(path)
    path.write_bytes(encode_samples([feed | {name: np.asarray(value)}]))
    with pytest.raises(RefusedInputError, match="parts do not fit"):
        decode_questions(path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.npz"
    for feeds in ([], [{"input_ids": np.zeros((1, 3), np.int64)}]):
        path.write_bytes(encode_samples(feeds))
        with pytest.raises(RefusedInputError, match="not a file of questions"):
            decode_questions(path)


def test_likelihoods_come_back_as_they_were() -> None:
    found = ((-1.0, -2.5), (-0.25, math.nan, -3.0))
    read = read_likelihoods(flat_likelihoods(found))
    assert repr(read) == repr(found)
    assert read_likelihoods({}) == ()
    with pytest.raises(ValueError, match="fit together"):
        read_likelihoods(flat_likelihoods(found) | {"choice_counts": np.asarray([2, 2])})


def test_a_question_is_a_value() -> None:
    assert msgspec.structs.replace(QUESTION, answer=1) == QUESTION
