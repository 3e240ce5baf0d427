"""Scores as the fresh process works them out; test_asking.py asks a real one."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.errors import StorageError
from deployopt.core.scores import decode_scored
from deployopt.device.generating import reading
from deployopt.device.generating.reading import Signs, score_texts
from deployopt.device.generating.token_files import encode_answers
from deployopt.device.protocol import Reply, ScoreRequest, Working
from deployopt.device.setup import Setup

Draw = Callable[..., list[list[int]]]
Store = Callable[[str, list[list[int]]], Path]


@pytest.fixture
def request_(tiny: Setup, texts: Draw, stored: Store, tmp_path: Path) -> ScoreRequest:
    chosen = tmp_path / "chosen.npz"
    chosen.write_bytes(encode_answers([[1, 2, 3]]))
    return ScoreRequest(
        setup=tiny, documents=stored("d", texts(20, 30)), asked=stored("a", texts(5)),
        chosen=chosen, timed=stored("t", texts(6, 7)), context=300, tokens=4, fill=True,
        result=tmp_path / "scores.npz",
    )  # fmt: skip


def test_the_context_is_filled_first_and_scores_lie_in_the_file(request_: ScoreRequest) -> None:
    said: list[Reply] = []
    taken = score_texts(request_, said.append)
    found = decode_scored(request_.result)
    assert (taken.requests, taken.examples, taken.non_finite) == (5, 2, 0)
    assert found.full_context_rss_bytes is not None
    assert found.full_context_rss_bytes <= taken.peak_rss_bytes
    assert taken.base_rss_bytes < found.full_context_rss_bytes
    words = [one.what for one in said if isinstance(one, Working)]
    assert words[:3] == ["filling a context"] * 3


def test_a_full_disk_is_said(request_: ScoreRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reading, "write_new_file", full)
    with pytest.raises(StorageError, match="writing scores"):
        score_texts(request_, lambda _: None)


def test_signs_come_now_and_then_and_never_pass_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[Reply] = []
    signs = Signs(said.append, 4)
    signs.step("some")
    assert not said
    monkeypatch.setattr(reading, "_SIGN_OF_LIFE_S", 0.0)
    for _ in range(5):
        signs.step("more")
    shares = [one.share for one in said if isinstance(one, Working)]
    assert shares == [0.5, 0.75, 1.0, 1.0, 1.0]
