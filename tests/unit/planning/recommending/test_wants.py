"""What is asked, completed; and counts that no one can mean."""

from typing import Any

import pytest

from deployopt.core.budget import parse_budget
from deployopt.core.errors import UsageError
from deployopt.core.request import RecommendRequest
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.usual import FRAME_S, READING_TPS
from deployopt.planning.recommending.wants import Wants, read_wants
from deployopt.planning.targets import load_target


def read(task: ModelTask, target: str = "rpi4", **asked: object) -> Wants:
    return read_wants(RecommendRequest(task=task, target=load_target(target), **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "asked"),
    [
        ("--examples", {"examples": -1}),
        ("--examples", {"examples": 0}),
        ("--examples", {"examples": 10**13}),
        ("--length", {"length": -5}),
        ("--length", {"length": 10**9}),
        ("--requests-per-day", {"requests_per_day": -1.0}),
        ("--requests-per-day", {"requests_per_day": float("nan")}),
        ("--requests-per-day", {"requests_per_day": float("inf")}),
    ],
)
def test_absurd_counts_are_refused(option: str, asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=option):
        read(ModelTask.TEXT_CLASSIFICATION, **asked)


def test_images_have_no_length() -> None:
    with pytest.raises(UsageError, match="reads none"):
        read(ModelTask.OBJECT_DETECTION, length=128)


def test_the_profile_s_budget_counts_where_build_judges_by_it() -> None:
    found = read(ModelTask.TEXT_CLASSIFICATION)
    assert found.time is not None
    assert (found.time.seconds, found.time.origin) == (0.25, "the target's profile")
    assert found.strict is False
    assert read(ModelTask.TOKEN_CLASSIFICATION).time is None
    assert read(ModelTask.TEXT_CLASSIFICATION, "rtx3060").time is None


def test_an_asked_budget_comes_before_real_time_and_the_profile() -> None:
    budgets = (parse_budget("latency_p95", "50 ms"), parse_budget("latency_p50", "20 ms"))
    found = read(ModelTask.TEXT_CLASSIFICATION, budgets=budgets, realtime=True)
    assert found.time is not None
    assert (found.time.metric, found.time.origin, found.strict) == ("latency_p50", "asked", True)


def test_real_time_is_a_frame_a_wait_or_reading_speed() -> None:
    frame = read(ModelTask.OBJECT_DETECTION, realtime=True)
    assert frame.time is not None
    assert frame.time.seconds == FRAME_S
    text = read(ModelTask.TEXT_CLASSIFICATION, realtime=True)
    assert text.time is not None
    assert text.time.seconds == 0.1
    written = read(ModelTask.TEXT_GENERATION, realtime=True)
    assert (written.time, written.pace_tps, written.strict) == (None, READING_TPS, True)
    assert read(ModelTask.TEXT_GENERATION).strict is None


def test_a_chat_keeps_2048_tokens_or_more() -> None:
    assert read(ModelTask.TEXT_GENERATION).context == 2048
    assert read(ModelTask.TEXT_GENERATION, length=4000).context == 4256
    assert read(ModelTask.TRANSLATION).context == 256
    assert read(ModelTask.TEXT_CLASSIFICATION, length=128).context == 128


def test_a_request_is_as_long_as_it_is_and_an_example_is_cut_where_it_is_cut() -> None:
    usual = read(ModelTask.TEXT_CLASSIFICATION)
    assert (usual.length, usual.trained_length) == (46, 128)
    asked = read(ModelTask.TEXT_CLASSIFICATION, length=300)
    assert (asked.length, asked.trained_length) == (300, 300)
    assert read(ModelTask.TRANSLATION).trained_length == 128
