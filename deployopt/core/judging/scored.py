"""Budgets on a language model's answers beside its reference's: NLL, and tokens that agree.

Its accuracy, where there are questions with choices, is judged as a classifier's is (paired.py).

Both are shares of one. Documents and prompts are the units, and fewer than five settle nothing.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.distributions import normal_quantile, student_t_quantile
from deployopt.core.evidence import Evidence
from deployopt.core.judging.findings import ON_DEVICE, Findings, rejected
from deployopt.core.metric import Kind
from deployopt.core.nll import nll_increase_bounds, nll_increase_p_value
from deployopt.core.paired import LossBounds, loss_p_value
from deployopt.core.ratio import LEAST_UNITS
from deployopt.core.scores import ScoreTrial
from deployopt.core.token_agreement import token_agreement_bounds, token_agreement_p_value
from deployopt.core.verdict import Check, Outcome

_POWER: Final = 0.9
_MOST_UNITS: Final = 1_000_000


class _Units(msgspec.Struct, frozen=True, kw_only=True):
    """How many of what were asked, and the bounds that they give at a confidence."""

    number: int
    noun: str
    words: str
    bounds: Callable[[float], LossBounds]


def judge_score(budget: Budget, findings: Findings) -> Check:
    """The increase of the mean NLL, documents being the clusters."""
    trial = findings.scores
    if trial is None or not trial.documents:
        return rejected(budget, None, "The likelihood of held text was not measured.")
    number = len(trial.documents)
    tokens = sum(one.tokens for one in trial.documents)
    units = _Units(
        number=number,
        noun="documents",
        words=f"{tokens:,} tokens of {number} documents",
        bounds=lambda confidence: nll_increase_bounds(trial.documents, confidence),
    )
    return _judged(budget, trial, units, findings.accuracy_confidence)


def judge_agreement(budget: Budget, findings: Findings) -> Check:
    """The share of the reference's tokens that it would choose too, prompts being the clusters."""
    trial = findings.scores
    answers = () if trial is None else tuple(one for one in trial.answers if one.tokens)
    if trial is None or not answers:
        return rejected(budget, None, "No answer was compared with the reference's.")
    agreed, tokens = sum(one.agreed for one in answers), sum(one.tokens for one in answers)
    units = _Units(
        number=len(answers),
        noun="prompts",
        words=f"{agreed:,} of {tokens:,} tokens of {len(answers)} answers",
        bounds=lambda confidence: token_agreement_bounds(answers, confidence),
    )
    return _judged(budget, trial, units, findings.accuracy_confidence)


def scores_p_value(trial: ScoreTrial, budgets: Sequence[Budget]) -> float:
    """Against "it loses too much": the largest of all budgets on scores, agreement and accuracy.

    0 without such a budget; 1 of a trial that cannot be judged.
    """
    if trial.non_finite:
        return 1.0
    return max((_p_value(trial, budget) for budget in budgets), default=0.0)


def _p_value(trial: ScoreTrial, budget: Budget) -> float:
    try:
        if budget.definition.kind is Kind.SCORE:
            return nll_increase_p_value(trial.documents, budget.limit)
        if budget.definition.kind is Kind.AGREEMENT:
            return token_agreement_p_value(trial.answers, budget.limit)
        if budget.definition.kind is Kind.ACCURACY:
            return _accuracy_p_value(trial, budget.limit)
    except ValueError:  # too few to say anything, or no numbers
        return 1.0
    return 0.0


def _accuracy_p_value(trial: ScoreTrial, limit: float) -> float:
    asked = choice_accuracy(trial)
    if asked is None or asked.non_finite:
        return 1.0
    return loss_p_value(asked.lost, asked.gained, asked.examples, limit)


def _judged(budget: Budget, trial: ScoreTrial, units: _Units, confidence: float) -> Check:
    unsettled = Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=Outcome.UNDECIDED,
        evidence=trial.evidence,
        samples=units.number,
        reason=units.words,
    )
    if units.number < LEAST_UNITS:
        more = f"give at least {LEAST_UNITS} {units.noun}"
        return msgspec.structs.replace(unsettled, settle=more)
    try:
        bounds = units.bounds(confidence)
    except ValueError as error:
        return rejected(budget, trial.evidence, f"The scores cannot be compared: {error}.")
    inside = budget.allows(budget.worse(bounds.lower, bounds.upper))
    outside = not budget.allows(budget.better(bounds.lower, bounds.upper))
    outcome = Outcome.ACCEPTED if inside else Outcome.UNDECIDED
    outcome = Outcome.REJECTED if outside else outcome
    settle = None if inside or outside else _more(budget, bounds, units, confidence)
    reason = units.words
    if not trial.exact_arithmetic and not trial.evidence.at_least(Evidence.TARGET):
        outcome, settle = Outcome.UNDECIDED, ON_DEVICE
        reason += "; this machine's int8 arithmetic is not the target's"
    waits = trial.stand_in is not None and outcome is Outcome.ACCEPTED
    if waits:
        outcome, settle = Outcome.UNDECIDED, ON_DEVICE
        reason += f"; answered by {trial.stand_in}"
    return msgspec.structs.replace(
        unsettled,
        outcome=outcome,
        observed=bounds.estimate,
        lower=bounds.lower if math.isfinite(bounds.lower) else None,
        upper=bounds.upper if math.isfinite(bounds.upper) else None,
        confidence=confidence,
        reason=reason,
        settle=settle,
        predicted_inside=waits,
    )


def _more(budget: Budget, bounds: LossBounds, units: _Units, confidence: float) -> str:
    """As if the bounds came nearer by the root of the number, with a power of 90 %."""
    gap = abs(budget.limit - bounds.estimate)
    end = bounds.upper if bounds.estimate <= budget.limit else bounds.lower
    reach = abs(end - bounds.estimate)
    quantile = student_t_quantile(confidence, units.number - 1)
    wanted = reach * (1.0 + normal_quantile(_POWER) / quantile)
    if not 0.0 < wanted < gap * math.sqrt(_MOST_UNITS / units.number):
        return (
            f"what was seen is the budget's own: no number of {units.noun} is likely to settle it"
        )
    more = max(1, math.ceil(units.number * ((wanted / gap) ** 2 - 1.0)))
    return f"evaluate on about {more:,} more {units.noun}"
