"""One round as the fresh process works it off; test_asking.py asks a real one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError
from deployopt.device.generating.rounds import answer_round
from deployopt.device.generating.token_files import encode_answers
from deployopt.device.protocol import AnswerRequest, Reply, Working
from deployopt.device.setup import Setup
from tests.fakes.decoders import TinyDecoder

Draw = Callable[..., list[list[int]]]
Store = Callable[[str, list[list[int]]], Path]
LENGTHS = (5, 9, 9, 12, 20, 7, 30, 6, 15, 11, 8, 10)


def _request(tiny: Setup, prompts: Path, expected: Path | None) -> AnswerRequest:
    return AnswerRequest(
        setup=tiny, prompts=prompts, expected=expected, context=96, tokens=6, requests=11,
        min_s=0.0, seed=1, turn_s=0.005,
    )  # fmt: skip


def test_turns_are_waited_for_after_the_warm_up_and_do_not_count(
    tiny: Setup, twin: TinyDecoder, texts: Draw, stored: Store, tmp_path: Path
) -> None:
    drawn = texts(*LENGTHS)
    expected = tmp_path / "expected.npz"
    expected.write_bytes(encode_answers([twin.answer(one, 6) for one in drawn]))
    said: list[Reply | str] = []
    request = _request(tiny, stored("prompts", drawn), expected)
    found = answer_round(request, said.append, lambda: said.append("turn")).round
    assert found.mismatched == 0
    assert found.compared == len(found.samples_s) == 11
    assert found.answers is not None
    assert sum(found.samples_s) == pytest.approx(
        sum(found.answers.first_token_s) + sum(found.answers.token_s)
    )
    assert found.energy_j is None or found.energy_j >= 0
    first = said.index("turn")
    assert [one.what for one in said[:first] if isinstance(one, Working)][:2] == [
        "model loaded",
        "warming up",
    ]
    assert any(isinstance(one, Working) and "answers" in one.what for one in said[first:])


def test_without_expected_answers_nothing_is_compared(
    tiny: Setup, texts: Draw, stored: Store
) -> None:
    request = _request(tiny, stored("prompts", texts(*LENGTHS)), None)
    found = answer_round(request, lambda _: None, lambda: None).round
    assert (found.mismatched, found.compared) == (0, 0)


def test_expected_answers_must_be_of_the_prompts(
    tiny: Setup, texts: Draw, stored: Store, tmp_path: Path
) -> None:
    expected = tmp_path / "expected.npz"
    expected.write_bytes(encode_answers([[1]]))
    request = _request(tiny, stored("prompts", texts(*LENGTHS)), expected)
    with pytest.raises(IntegrityError, match="each of 12 prompts"):
        answer_round(request, lambda _: None, lambda: None)
