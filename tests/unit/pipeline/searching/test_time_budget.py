"""The time limit: of this call and the ones before it."""

import math

from deployopt.pipeline.searching.time_budget import TimeBudget


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> int:
        return int(self.now_s * 1e9)


def test_what_earlier_calls_took_counts() -> None:
    clock = Clock()
    budget = TimeBudget(100.0, clock)
    budget.spent_before_s = 60.0
    clock.now_s = 30.0
    assert (budget.spent_s, budget.left_s) == (90.0, 10.0)
    clock.now_s = 50.0
    assert budget.left_s == -10.0


def test_laps_add_up() -> None:
    clock = Clock()
    budget = TimeBudget(None, clock)
    assert math.isinf(budget.left_s)
    clock.now_s = 3.0
    assert budget.lap_s() == 3.0
    clock.now_s = 5.0
    assert budget.lap_s() == 2.0
