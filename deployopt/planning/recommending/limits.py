"""Where predictions stand against the limits on time, memory, size and energy.

In: estimates with bands. Out: standings; a band that crosses the limit leaves it unsettled, and
what is not predicted is not inside.
"""

from collections.abc import Mapping

from deployopt.core.budget import Budget
from deployopt.core.evidence import Estimate
from deployopt.core.metric import Kind
from deployopt.core.standing import Standing, standing_between
from deployopt.planning.recommending.candidate import RANK
from deployopt.planning.recommending.wants import Wants


def against(estimate: Estimate, limit: float) -> Standing:
    """Of a whole band against an upper limit."""
    return standing_between(estimate.lower, estimate.upper, limit)


def time_standing(wants: Wants, predicted: Mapping[str, Estimate]) -> Standing | None:
    """Of the seconds against their limit, or of the tokens a second against reading speed."""
    if wants.time is not None:
        found = predicted.get(wants.time.metric) or predicted.get("latency_s")
        return against(found, wants.time.seconds) if found else None
    if wants.pace_tps is not None:
        pace = predicted.get("decode_tps")
        if pace is None:
            return None
        if pace.lower >= wants.pace_tps:
            return Standing.INSIDE
        return Standing.OUTSIDE if pace.upper < wants.pace_tps else Standing.UNSETTLED
    return None


def memory_limit(wants: Wants, usable: float) -> float:
    """What the device has, or less where a budget says so."""
    asked = (b.limit for b in wants.budgets if b.definition.kind is Kind.MEMORY)
    return min(usable, *asked, float("inf"))


def of_kind(budgets: tuple[Budget, ...], kind: Kind) -> Budget | None:
    """The tightest budget of a kind."""
    return min((b for b in budgets if b.definition.kind is kind), key=_limit, default=None)


def worst(standings: tuple[Standing, ...]) -> Standing:
    """The one that decides."""
    return max(standings, key=RANK.__getitem__)


def _limit(budget: Budget) -> float:
    return budget.limit
