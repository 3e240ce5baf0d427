"""A band across a limit settles nothing; what is not predicted is not inside."""

from collections.abc import Callable

from deployopt.core.budget import parse_budget
from deployopt.core.evidence import Estimate
from deployopt.core.metric import Kind
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.limits import (
    memory_limit,
    of_kind,
    time_standing,
)
from deployopt.planning.recommending.wants import Wants

Around = Callable[..., Estimate]
Ask = Callable[..., Wants]


def test_time_is_judged_by_its_whole_band(wants: Ask, band: Around) -> None:
    asked = wants(budgets=(parse_budget("latency_p95", "100 ms"),))
    for middle, standing in (
        (0.04, Standing.INSIDE),
        (0.09, Standing.UNSETTLED),
        (0.30, Standing.OUTSIDE),
    ):
        assert time_standing(asked, {"latency_p95": band(middle)}) is standing
    assert time_standing(asked, {}) is None


def test_tokens_have_to_come_as_fast_as_they_are_read(wants: Ask, band: Around) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "rtx3060", realtime=True)
    for pace, standing in (
        (30.0, Standing.INSIDE),
        (6.0, Standing.UNSETTLED),
        (1.0, Standing.OUTSIDE),
    ):
        assert time_standing(asked, {"decode_tps": band(pace)}) is standing
    assert time_standing(asked, {}) is None
    assert time_standing(wants(ModelTask.TEXT_GENERATION, "rtx3060"), {}) is None


def test_a_budget_narrows_the_memory(wants: Ask) -> None:
    asked = wants(budgets=(parse_budget("memory_peak", "256 MiB"),))
    assert memory_limit(asked, 4e9) == 256 * 2**20
    assert memory_limit(wants(ModelTask.TOKEN_CLASSIFICATION), 4e9) == 4e9
    assert of_kind(asked.budgets, Kind.ENERGY) is None
