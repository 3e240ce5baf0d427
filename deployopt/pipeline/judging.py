"""The gate: finalists on the examples that are used once, in a sequence that was settled before.

In: finalists, the most wanted first. Out: the most wanted that passes, with its verdict; where none
does, the verdict that comes nearest. core/multiplicity.py says why the sequence may be believed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from deployopt.core.accuracy_loss import accuracy_p_value
from deployopt.core.budget import limit_of
from deployopt.core.errors import DeviceError
from deployopt.core.gate import Findings, judge
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.metric import Kind
from deployopt.core.multiplicity import FALLBACK_SHARE, accepted_in_sequence
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


Trial = TypeVar("Trial")
Known = TypeVar("Known")


class Finalist(msgspec.Struct, Generic[Trial], frozen=True, kw_only=True):
    """A candidate that the gate split was asked of; `p_value` is against "it loses too much"."""

    candidate: Candidate
    made: Made
    trial: Trial
    p_value: float


class Decision(msgspec.Struct, Generic[Trial, Known], frozen=True, kw_only=True):
    """Who won and with what verdict; everyone who was asked, in order."""

    winner: Finalist[Trial]
    verdict: Verdict
    asked: tuple[Finalist[Trial], ...]
    crashed: Mapping[str, str]
    """Recipes that had no answer to the gate split, and why."""
    reference: Known
    """What the reference answers to it."""


AccuracyDecision = Decision[AccuracyTrial, Reference]


def judge_finalists(
    prepared: Prepared, finalists: Sequence[Candidate], watcher: Watcher
) -> AccuracyDecision:
    """Ask the gate split of as many as it takes.

    Raises:
        DeviceError: every finalist that was asked crashed on it.
    """
    watcher.stage("Gate: reference", prepared.dataset.splits[Split.GATE].examples)
    reference = reference_answers(prepared, Split.GATE, watcher.advance, watcher.note)

    def ask(candidate: Candidate, made: Made) -> Finalist[AccuracyTrial]:
        return _ask(prepared, candidate, made, reference, watcher)

    def verdict_at(finalist: Finalist[AccuracyTrial], level: float) -> Verdict:
        return _verdict(prepared, finalist, level)

    return decision_of(finalists, ask, verdict_at, reference, watcher)


def decision_of(
    finalists: Sequence[Candidate],
    ask: Callable[[Candidate, Made], Finalist[Trial]],
    verdict_at: Callable[[Finalist[Trial], float], Verdict],
    reference: Known,
    watcher: Watcher,
) -> Decision[Trial, Known]:
    """Ask in sequence; one that crashes is told of and has lost.

    Raises:
        DeviceError: every finalist that was asked crashed.
    """
    crashed: dict[str, str] = {}

    def asked_of(candidate: Candidate) -> Finalist[Trial] | None:
        if candidate.made is None:
            raise DeviceError(f"{candidate.recipe.name} was not made, so it cannot be judged.")
        try:
            return ask(candidate, candidate.made)
        except DeviceError as error:
            watcher.note(f"Candidate {candidate.recipe.name} failed at the gate: {error}")
            crashed[candidate.recipe.name] = str(error)
            return None

    decided = decide(finalists, asked_of, verdict_at)
    if decided is None:
        said = " ".join(f"{name}: {why}" for name, why in crashed.items())
        raise DeviceError(f"Every candidate that was asked failed at the gate. {said}")
    winner, verdict, asked = decided
    return Decision(
        winner=winner, verdict=verdict, asked=asked, crashed=crashed, reference=reference
    )


class Suspect(Protocol):
    """Whoever was asked at the gate."""

    @property
    def p_value(self) -> float:
        """Against "it loses too much"."""
        ...


_S = TypeVar("_S", bound=Suspect)


def decide(
    finalists: Sequence[Candidate],
    ask: Callable[[Candidate], _S | None],
    verdict_at: Callable[[_S, float], Verdict],
) -> tuple[_S, Verdict, tuple[_S, ...]] | None:
    """The most wanted that passes; everyone who was asked, in order; None where all crashed.

    All but the float one are asked from the least to the most wanted, which is from the slowest to
    the fastest, until one loses too much. Float stands apart with a share of alpha of its own, and
    is asked where no other passes. Where none does the most wanted one's verdict is given, of
    those whose accuracy is certified if there are any. One that crashes has lost everything.
    """
    chain = [c for c in reversed(finalists) if not c.is_float]
    apart = next((c for c in finalists if c.is_float), None)
    level = _ALPHA if apart is None or not chain else _ALPHA * (1.0 - FALLBACK_SHARE)
    asked = _in_sequence(chain, ask, level)
    accepted = asked[: accepted_in_sequence([one.p_value for one in asked], level)]
    judged = [(one, verdict_at(one, level)) for one in reversed(accepted or asked[:1])]
    won = next(((one, verdict) for one, verdict in judged if _passes(verdict)), None)
    fallback = ask(apart) if won is None and apart is not None else None
    if fallback is not None:
        asked.append(fallback)
        share = _ALPHA * FALLBACK_SHARE if chain else _ALPHA
        judged.append((fallback, verdict_at(fallback, share)))
        won = next((pair for pair in judged[-1:] if _passes(pair[1])), None)
    if not judged:
        return None
    winner, verdict = won or judged[0]
    return winner, verdict, tuple(asked)


def _in_sequence(
    chain: Sequence[Candidate], ask: Callable[[Candidate], _S | None], level: float
) -> list[_S]:
    """Those that answered, up to the first that loses too much or crashes."""
    asked: list[_S] = []
    for candidate in chain:
        finalist = ask(candidate)
        if finalist is None:
            break
        asked.append(finalist)
        if finalist.p_value > level:
            break
    return asked


def _passes(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.ACCEPTED or verdict.provisional


def _ask(
    prepared: Prepared,
    candidate: Candidate,
    made: Made,
    reference: Reference,
    watcher: Watcher,
) -> Finalist[AccuracyTrial]:
    watcher.stage(f"Gate: {candidate.recipe.name}", prepared.dataset.splits[Split.GATE].examples)
    answers = candidate_answers(prepared, made.artifact, Split.GATE, watcher.advance)
    trial = accuracy_trial(prepared, made.artifact, Split.GATE, answers, reference)
    return Finalist(candidate=candidate, made=made, trial=trial, p_value=_p_value(prepared, trial))


def _p_value(prepared: Prepared, trial: AccuracyTrial) -> float:
    limit = limit_of(prepared.budgets, Kind.ACCURACY)
    if limit is None or trial.non_finite:
        return 1.0 if trial.non_finite else 0.0
    return accuracy_p_value(trial, limit)


def _verdict(prepared: Prepared, finalist: Finalist[AccuracyTrial], level: float) -> Verdict:
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
