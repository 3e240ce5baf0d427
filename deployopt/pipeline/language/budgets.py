"""What a language model is judged by: what was asked, and what a target asks of such models.

A target's budgets are of classifiers unless one of them is of language models: a limit on latency
says nothing of a model that answers in as many tokens as it likes, and 512 MiB of memory was never
meant for one. They are left out then, and that is said; what is left is the device's own memory.
Where questions with choices are given, accuracy is judged as a classifier's is, and a target's
budget on it counts.
"""

from typing import Final

from deployopt.core.budget import Budget, merge_budgets
from deployopt.core.interface import Interface
from deployopt.core.judging.suitable import OF_LANGUAGE, budgets_that_fit, require_budgets_for
from deployopt.core.metric import Kind
from deployopt.core.request import BuildRequest
from deployopt.core.target import Target
from deployopt.planning.usable import usable_bytes

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
    asks = request.questions is not None
    require_budgets_for(interface, request.budgets, questions=asks)
    target = request.target
    theirs = target.limits
    meant = any(budget.definition.kind in OF_LANGUAGE for budget in theirs)
    kept = budgets_that_fit(interface, theirs, questions=asks) if meant else (_memory(target),)
    if asks and not meant:
        kept = (*kept, *(one for one in theirs if one.definition.kind is Kind.ACCURACY))
    found = merge_budgets(kept, request.budgets)
    wanted = any(one.definition.kind is Kind.ACCURACY for one in request.budgets)
    if not wanted and not any(budget.definition.kind in _QUALITY for budget in found):
        found = merge_budgets(found, (NLL_INCREASE,))
    left = [budget.metric for budget in theirs if budget not in kept and budget not in found]
    if not left:
        return found, ()
    sentence = (
        f"{', '.join(left)} of target {target.name} are for classifiers and do not count here. Ask "
        "with --budget for nll_increase, agreement, ttft_p95, decode_tps_min, memory_peak"
        f"{'' if asks else ', or with --questions for accuracy_drop'}."
    )
    return found, (sentence,)


def _memory(target: Target) -> Budget:
    """What one process can have there at all."""
    return Budget(metric="memory_peak", limit=usable_bytes(target))
