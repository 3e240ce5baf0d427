"""A latency budget checked against requests that were timed in rounds.

In: seconds of each request, by round. Out: the check, with what would settle an undecided one.
A round is a process of its own; who timed it does not matter.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.quantiles import (
    judge_rounds,
    least_requests,
    least_rounds,
    quantile_bounds,
    requests_needed,
)
from deployopt.core.standing import Standing
from deployopt.core.verdict import Check, Outcome

CONFIDENCE: Final = 0.95
_OUTCOME: Final = {
    Standing.INSIDE: Outcome.ACCEPTED,
    Standing.OUTSIDE: Outcome.REJECTED,
    Standing.UNSETTLED: Outcome.UNDECIDED,
}


def latency_check(
    budget: Budget, rounds: Sequence[Sequence[float]], evidence: Evidence = Evidence.TARGET
) -> Check:
    """Judge every request of `rounds` (seconds) against the budget's limit, each round counting.

    Raises:
        ValueError: there is no round, or one without requests.
    """
    quantile = budget.definition.quantile or 0.5
    samples = [sample for one in rounds for sample in one]
    over = [sum(sample > budget.limit for sample in one) for one in rounds]
    judgement = judge_rounds(over, [len(one) for one in rounds], quantile, CONFIDENCE)
    bounds = quantile_bounds(samples, quantile, CONFIDENCE)
    reason = (
        f"{sum(over)} of {len(samples)} requests over {budget.shown}; "
        f"the quantile is inside in {judgement.rounds_inside} of {len(rounds)} rounds"
    )
    unsettled = judgement.standing is Standing.UNSETTLED
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=_OUTCOME[judgement.standing],
        evidence=evidence,
        observed=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        confidence=CONFIDENCE,
        samples=len(samples),
        reason=reason,
        settle=_settle(quantile, sum(over), len(samples), len(rounds)) if unsettled else None,
    )


def _settle(quantile: float, over: int, total: int, rounds: int) -> str:
    least = least_requests(quantile, CONFIDENCE)
    if total < least:
        return f"measure at least {least} requests"
    if rounds < least_rounds(CONFIDENCE):
        return f"measure at least {least_rounds(CONFIDENCE)} rounds"
    more = requests_needed(over, total, quantile, CONFIDENCE)
    if more:
        return f"measure about {more} more requests"
    return "the rounds disagree: measure again on a quiet machine"
