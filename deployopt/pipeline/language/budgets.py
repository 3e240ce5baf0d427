"""What a language model is judged by: what was asked, and what a target asks of any model.

A target's budgets of latency, accuracy and throughput are of classifiers, and say nothing of a
model that answers in as many tokens as it likes: they are left out, and that is said.
"""

from typing import Final

from deployopt.core.budget import Budget, merge_budgets
from deployopt.core.interface import Interface
from deployopt.core.judging.suitable import budgets_that_fit, require_budgets_for
from deployopt.core.metric import Kind
from deployopt.core.request import BuildRequest

NLL_INCREASE: Final = Budget(metric="nll_increase", limit=0.02)
"""Where no budget says how much worse it may get."""
_QUALITY: Final = frozenset({Kind.SCORE, Kind.AGREEMENT})


def language_budgets(
    request: BuildRequest, interface: Interface
) -> tuple[tuple[Budget, ...], tuple[str, ...]]:
    """The budgets, and a sentence for what of the target's does not count.

    Raises:
        UsageError: a budget was asked for that a language model has not.
    """
    require_budgets_for(interface, request.budgets)
    theirs = request.target.limits
    kept = budgets_that_fit(interface, theirs)
    found = merge_budgets(kept, request.budgets)
    if not any(budget.definition.kind in _QUALITY for budget in found):
        found = merge_budgets(found, (NLL_INCREASE,))
    left = [budget.metric for budget in theirs if budget not in kept]
    if not left:
        return found, ()
    sentence = (
        f"{' and '.join(left)} of target {request.target.name} are for classifiers and do not "
        "count here; a language model is asked for nll_increase, agreement, ttft_p95 and "
        "decode_tps_min."
    )
    return found, (sentence,)
