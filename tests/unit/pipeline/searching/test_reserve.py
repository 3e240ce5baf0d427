"""What a search keeps of its time for measuring and judging."""

import pytest

from deployopt.pipeline.searching.search import enough_time, reserve_s
from deployopt.pipeline.searching.time_budget import TimeBudget


def test_without_a_limit_nothing_has_to_be_kept() -> None:
    assert reserve_s(TimeBudget(None), 6) == 0.0
    assert enough_time(TimeBudget(None))


@pytest.mark.parametrize("limit_s", [120.0, 300.0, 1080.0, 2400.0, 7200.0])
def test_more_artifacts_need_more_and_something_is_left_for_teaching(limit_s: float) -> None:
    kept = [reserve_s(TimeBudget(limit_s), arms) for arms in (2, 4, 6, 8)]
    assert kept == sorted(kept)
    assert kept[0] >= 0.15 * limit_s
    assert kept[-1] <= max(90.0, 0.4 * limit_s)


def test_forty_minutes_are_enough_for_the_rounds_of_six() -> None:
    # Twelve rounds of six, two seconds timed and two more to load and warm up, and the gate.
    assert reserve_s(TimeBudget(2400.0), 6) >= 12 * 6 * 4 + 45
