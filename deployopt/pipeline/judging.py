"""The gate: finalists on the examples that are used once, by Holm's procedure.

In: finalists, the most wanted first. Out: the first that Holm accepts, with its verdict; where none
is accepted, the most wanted one's. One that passes at alpha / k needs no other to be asked.
"""

from collections.abc import Callable, Sequence

import msgspec

from deployopt.core.gate import CONFIDENCE, Findings, judge
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.metric import Kind
from deployopt.core.multiplicity import holm_levels
from deployopt.core.paired import loss_p_value
from deployopt.core.verdict import Outcome, Verdict
from deployopt.core.watching import Watcher
from deployopt.device.reference import Reference
from deployopt.pipeline.answering import candidate_answers, reference_answers
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.doubts import accuracy_doubts
from deployopt.pipeline.making import Made
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.trying import accuracy_trial

_ALPHA = 1.0 - CONFIDENCE


class Finalist(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that the gate split was asked of; `p_value` is against "it loses too much"."""

    candidate: Candidate
    made: Made
    trial: AccuracyTrial
    p_value: float


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who won and with what verdict; everyone who was asked, in order."""

    winner: Finalist
    verdict: Verdict
    asked: tuple[Finalist, ...]
    reference: Reference


def judge_finalists(
    prepared: Prepared, finalists: Sequence[Candidate], watcher: Watcher
) -> Decision:
    """Ask the gate split of as many as it takes.

    Raises:
        DeviceError: a finalist crashed on it.
    """
    watcher.stage("Gate: reference", prepared.dataset.splits[Split.GATE].examples)
    reference = reference_answers(prepared, Split.GATE, watcher.advance)
    asked: list[Finalist] = []
    for candidate in finalists:
        if candidate.made is None:
            continue
        asked.append(_ask(prepared, candidate, candidate.made, reference, watcher))
        alone = _verdict(prepared, asked[-1], _ALPHA / len(finalists))
        if _passes(alone):
            return Decision(
                winner=asked[-1], verdict=alone, asked=tuple(asked), reference=reference
            )
    winner, verdict = pick(asked, lambda finalist, level: _verdict(prepared, finalist, level))
    return Decision(winner=winner, verdict=verdict, asked=tuple(asked), reference=reference)


def pick(
    asked: Sequence[Finalist], verdict_at: Callable[[Finalist, float], Verdict]
) -> tuple[Finalist, Verdict]:
    """The first that passes at the level Holm gives it, else the most wanted one.

    `verdict_at` judges a finalist with its accuracy bound at confidence 1 - level.
    """
    levels = holm_levels([f.p_value for f in asked], _ALPHA)
    verdicts = [verdict_at(f, level) for f, level in zip(asked, levels, strict=True)]
    best = next((i for i, v in enumerate(verdicts) if _passes(v)), 0)
    return asked[best], verdicts[best]


def _passes(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.ACCEPTED or verdict.provisional


def _ask(
    prepared: Prepared,
    candidate: Candidate,
    made: Made,
    reference: Reference,
    watcher: Watcher,
) -> Finalist:
    watcher.stage(f"Gate: {candidate.recipe.name}", prepared.dataset.splits[Split.GATE].examples)
    answers = candidate_answers(prepared, made.artifact, Split.GATE, watcher.advance)
    trial = accuracy_trial(prepared, made.artifact, Split.GATE, answers, reference)
    return Finalist(candidate=candidate, made=made, trial=trial, p_value=_p_value(prepared, trial))


def _p_value(prepared: Prepared, trial: AccuracyTrial) -> float:
    limit = next((b.limit for b in prepared.budgets if b.definition.kind is Kind.ACCURACY), None)
    if limit is None or trial.non_finite:
        return 1.0 if trial.non_finite else 0.0
    return loss_p_value(trial.lost, trial.gained, trial.examples, limit)


def _verdict(prepared: Prepared, finalist: Finalist, level: float) -> Verdict:
    return judge(
        prepared.request.target.name,
        prepared.budgets,
        Findings(
            artifact=finalist.made.artifact.digest,
            latency=finalist.candidate.trial,
            accuracy=finalist.trial,
            accuracy_confidence=1.0 - level,
            size_bytes=finalist.candidate.size_bytes,
            predictions=finalist.candidate.predictions,
            doubts=accuracy_doubts(prepared.source, prepared.dataset, finalist.trial),
        ),
    )
