"""Budgets that the rounds on the target settle: latency, first token, rates, energy.

Latency at a quantile is judged over all requests (core/latency_check.py), the others by one value
a round. Without a measurement on the target only a prediction stands.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.answer_rounds import decode_rates, first_tokens
from deployopt.core.budget import Budget
from deployopt.core.judging.findings import Findings, judge_prediction, rejected
from deployopt.core.latency_check import CONFIDENCE, latency_check
from deployopt.core.measurement import Trial
from deployopt.core.quantiles import least_rounds
from deployopt.core.verdict import Check, Outcome

VOID_SHARE_MAX: Final = 0.2
"""With more of the rounds void than this the machine was too noisy to decide."""
_QUIET: Final = "measure again on a quiet machine"
_WORST: Final = (Outcome.ACCEPTED, Outcome.UNDECIDED, Outcome.REJECTED)


def too_noisy(trial: Trial) -> str | None:
    """Why so many rounds are void that nothing is said of latency, or None."""
    void = [r for r in trial.rounds if r.void is not None]
    if len(void) > VOID_SHARE_MAX * len(trial.rounds):
        return f"{len(void)} of {len(trial.rounds)} rounds are void ({void[0].void})."
    return None


def judge_latency(budget: Budget, findings: Findings) -> Check:
    """Of whole requests."""
    trial = findings.on_target
    if trial is None:
        return judge_prediction(budget, findings)
    return _judge_requests(budget, trial, [r.samples_s for r in trial.counted])


def judge_first_token(budget: Budget, findings: Findings) -> Check:
    """Of a language model, from the prompt's arrival to the answer's first token."""
    trial = findings.on_target
    if trial is None:
        return judge_prediction(budget, findings)
    rounds = first_tokens(trial)
    if trial.failure is None and not all(rounds):
        return rejected(budget, trial.evidence, "The first token of an answer was not timed.")
    return _judge_requests(budget, trial, rounds)


def judge_throughput(budget: Budget, findings: Findings) -> Check:
    """Of examples, one value a round."""
    trial = findings.on_target
    if trial is None:
        return judge_prediction(budget, findings)
    words = f"examples a second in {len(trial.rates)} rounds, least to most"
    return judge_rounds(budget, trial, trial.rates, words)


def judge_decode(budget: Budget, findings: Findings) -> Check:
    """Of a language model's tokens after the first, one value a round."""
    trial = findings.on_target
    if trial is None:
        return judge_prediction(budget, findings)
    rates = decode_rates(trial)
    if trial.failure is None and len(rates) < len(trial.counted):
        return rejected(budget, trial.evidence, "The tokens after the first were not timed.")
    words = f"tokens a second after the first in {len(rates)} rounds, least to most"
    return judge_rounds(budget, trial, rates, words)


def judge_energy(budget: Budget, findings: Findings) -> Check:
    """By the machine's own counter where the target has one; else only predicted."""
    trial = findings.on_target
    if trial is None or (not trial.joules and trial.failure is None):
        return judge_prediction(budget, findings)
    words = f"of the whole processor or card, in {len(trial.joules)} rounds, least to most"
    return judge_rounds(budget, trial, trial.joules, words)


def _judge_requests(budget: Budget, trial: Trial, rounds: Sequence[Sequence[float]]) -> Check:
    if trial.failure is not None:
        return rejected(budget, trial.evidence, trial.failure)
    noisy = too_noisy(trial)
    if noisy or not any(rounds):
        return Check(
            metric=budget.metric,
            limit=budget.limit,
            outcome=Outcome.UNDECIDED,
            evidence=trial.evidence,
            reason=noisy or "No round was measured.",
            settle=_QUIET,
        )
    return latency_check(budget, rounds, trial.evidence)


def worst_latency(budgets: Sequence[Budget], trial: Trial) -> Check | None:
    """What these rounds are worth to the latency budgets, wherever they ran: the worst check."""
    checks = [_judge_requests(b, trial, [r.samples_s for r in trial.counted]) for b in budgets]
    return max(checks, key=lambda check: _WORST.index(check.outcome), default=None)


def judge_rounds(budget: Budget, trial: Trial, values: Sequence[float], words: str) -> Check:
    """One value a round: all of five or more on one side bound their median (the sign test)."""
    if trial.failure is not None:
        return rejected(budget, trial.evidence, trial.failure)
    ordered = sorted(values)
    noisy = too_noisy(trial)
    outcome = Outcome.UNDECIDED
    if len(ordered) >= least_rounds(CONFIDENCE) and noisy is None:
        inside = [budget.allows(value) for value in ordered]
        outcome = Outcome.ACCEPTED if all(inside) else outcome
        outcome = outcome if any(inside) else Outcome.REJECTED
    quiet = "measure more rounds" if noisy is None else _QUIET
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=outcome,
        evidence=trial.evidence,
        observed=ordered[len(ordered) // 2] if ordered else None,
        lower=ordered[0] if ordered else None,
        upper=ordered[-1] if ordered else None,
        confidence=CONFIDENCE,
        samples=len(ordered),
        reason=noisy or words,
        settle=quiet if outcome is Outcome.UNDECIDED else None,
    )
