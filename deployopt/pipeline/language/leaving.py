"""Forms that are not worth timing: no measurement of time could make them acceptable.

In: candidates with what the search split and the predictions say of them. Out: the same, those that
surely miss a budget marked with why. The float form is always timed, as the others have to beat it;
and where every other one misses something, all are, so that the verdict has numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.metric import Kind
from deployopt.core.nll import nll_increase_bounds
from deployopt.core.ratio import LEAST_UNITS
from deployopt.core.token_agreement import token_agreement_bounds
from deployopt.core.units import show_quantity
from deployopt.pipeline.candidates import Candidate

_SPREAD: Final = 1.05
"""Peaks of processes that do the same differ by less."""


def leave_out(
    candidates: Sequence[Candidate], budgets: Sequence[Budget], evidence: Evidence
) -> tuple[Candidate, ...]:
    """`evidence` is what a measurement here is worth."""
    why = {c.recipe.name: _missed(c, budgets, evidence) for c in candidates if not c.is_float}
    able = [c for c in candidates if not c.is_float and c.scores is not None and c.fault is None]
    if all(why[c.recipe.name] is not None for c in able):
        return tuple(candidates)
    return tuple(msgspec.structs.replace(c, untimed=why.get(c.recipe.name)) for c in candidates)


def _missed(candidate: Candidate, budgets: Sequence[Budget], evidence: Evidence) -> str | None:
    for budget in budgets:
        best = _BEST.get(budget.definition.kind, _unknown)(candidate, budget, evidence)
        if best is not None and not budget.allows(best):
            shown = show_quantity(best, budget.definition.dimension)
            name = budget.metric.replace("_", " ")
            return f"{name} is {shown} at best, against {budget.shown}"
    return None


def _best_score(candidate: Candidate, _budget: Budget, _evidence: Evidence) -> float | None:
    trial = candidate.scores
    if trial is None or len(trial.documents) < LEAST_UNITS:
        return None
    return nll_increase_bounds(trial.documents).lower


def _best_agreement(candidate: Candidate, _budget: Budget, _evidence: Evidence) -> float | None:
    trial = candidate.scores
    if trial is None or sum(one.tokens > 0 for one in trial.answers) < LEAST_UNITS:
        return None
    return token_agreement_bounds(trial.answers).upper


def _best_memory(candidate: Candidate, budget: Budget, evidence: Evidence) -> float | None:
    """On the target what a full context took, else the lower end of the prediction."""
    if evidence is Evidence.TARGET:
        full = None if candidate.scores is None else candidate.scores.full_context_rss_bytes
        return None if full is None else full / _SPREAD
    return _best_size(candidate, budget, evidence)


def _best_size(candidate: Candidate, budget: Budget, _evidence: Evidence) -> float | None:
    if budget.definition.kind is Kind.SIZE:
        return candidate.size_bytes
    estimate = candidate.predictions.get(budget.metric)
    return None if estimate is None else estimate.lower


def _unknown(_candidate: Candidate, _budget: Budget, _evidence: Evidence) -> float | None:
    """Of time only a measurement speaks."""
    return None


_BEST: Final[Mapping[Kind, Callable[[Candidate, Budget, Evidence], float | None]]] = {
    Kind.SCORE: _best_score,
    Kind.AGREEMENT: _best_agreement,
    Kind.MEMORY: _best_memory,
    Kind.SIZE: _best_size,
}
