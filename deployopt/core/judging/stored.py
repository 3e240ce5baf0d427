"""Budgets on bytes: the peak of a fresh process's memory, and the files that are deployed.

Memory is judged as a rate is, one value a round, noise being no matter to it. A language model's
counts a context filled to its end: every round's peak is raised by what the full context took
beyond the rounds' median.
"""

from statistics import median
from typing import Final

import msgspec

from deployopt.core.answer_rounds import answered
from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.judging.findings import ON_DEVICE, Findings, judge_prediction, rejected
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import Trial
from deployopt.core.quantiles import least_rounds
from deployopt.core.scores import ScoreTrial
from deployopt.core.verdict import Check, Outcome

UNTOLD: Final = "nobody tells what the process had on the card"
TELL: Final = "pip install nvidia-ml-py there, where the card's driver has NVML"


def peaks_of(trial: Trial, scores: ScoreTrial | None) -> list[int] | None:
    """The rounds' peaks in bytes, with a full context; None where that is missing, or a card's."""
    told = [one.memory_bytes for one in trial.rounds]
    peaks = [peak for peak in told if peak is not None]
    if len(peaks) < len(told):
        return None
    if scores is None and not answered(trial):
        return peaks
    if scores is None or scores.full_context_rss_bytes is None:
        return None
    more = max(0, scores.full_context_rss_bytes - round(median(peaks))) if peaks else 0
    return [peak + more for peak in peaks]


def memory_untold(trial: Trial) -> bool:
    """Whether a round ran on a card that does not say what a process has on it."""
    return any(one.memory_bytes is None for one in trial.rounds)


def judge_memory(budget: Budget, findings: Findings) -> Check:
    """All of at least five processes on one side."""
    trial = findings.on_target
    if trial is None:
        return judge_prediction(budget, findings)
    if trial.failure is not None:
        return rejected(budget, trial.evidence, trial.failure)
    if memory_untold(trial):
        return _untold(budget, trial.evidence)
    peaks = peaks_of(trial, findings.scores)
    if peaks is None:
        return rejected(budget, trial.evidence, "The memory of a full context was not measured.")
    check = _memory_check(budget, trial.evidence, sorted(peaks), full=findings.scores is not None)
    scores = findings.scores
    if scores is None or scores.evidence.at_least(trial.evidence):
        return check
    # Filled on another machine: what it takes here is not known.
    return msgspec.structs.replace(
        check, outcome=Outcome.UNDECIDED, evidence=scores.evidence, settle=ON_DEVICE
    )


def _untold(budget: Budget, evidence: Evidence) -> Check:
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=Outcome.UNDECIDED,
        evidence=evidence,
        reason=UNTOLD,
        settle=TELL,
    )


def _memory_check(budget: Budget, evidence: Evidence, peaks: list[int], *, full: bool) -> Check:
    enough = len(peaks) >= least_rounds(CONFIDENCE)
    outcome = Outcome.UNDECIDED
    if enough and peaks[-1] <= budget.limit:
        outcome = Outcome.ACCEPTED
    elif enough and peaks[0] > budget.limit:
        outcome = Outcome.REJECTED
    context = ", with a full context" if full else ""
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=outcome,
        evidence=evidence,
        observed=float(peaks[len(peaks) // 2]) if peaks else None,
        lower=float(peaks[0]) if peaks else None,
        upper=float(peaks[-1]) if peaks else None,
        confidence=CONFIDENCE,
        samples=len(peaks),
        reason=f"peak of {len(peaks)} fresh processes, least to most{context}",
        settle="measure more rounds" if outcome is Outcome.UNDECIDED else None,
    )


def judge_size(budget: Budget, findings: Findings) -> Check:
    """Exact."""
    size = findings.size_bytes
    if size is None:
        return rejected(budget, None, "The artifact's size is missing.")
    inside = size <= budget.limit
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=Outcome.ACCEPTED if inside else Outcome.REJECTED,
        evidence=Evidence.EXACT,
        observed=float(size),
        lower=float(size),
        upper=float(size),
        reason="sum of the files that are deployed",
    )
