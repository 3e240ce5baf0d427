"""The gate: measurements and predictions of one artifact go in, a verdict comes out.

It fails closed. A metric without a number is rejected; a bound that straddles its budget, too much
noise or too weak evidence is undecided; only a whole bound inside every budget is accepted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.latency_check import CONFIDENCE, latency_check
from deployopt.core.measurement import AccuracyTrial, Trial
from deployopt.core.metric import Kind
from deployopt.core.paired import loss_bounds
from deployopt.core.quantiles import least_rounds
from deployopt.core.sample_size import examples_to_settle
from deployopt.core.units import show_quantity
from deployopt.core.verdict import Check, Outcome, Verdict

VOID_SHARE_MAX: Final = 0.2
"""With more of the rounds void than this the machine was too noisy to decide."""
ON_DEVICE: Final = "run `deployopt verify BUNDLE` on the target"


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one artifact on one target; None where nothing is.

    `predictions` maps a metric's name to its estimate. `doubts` are sentences that keep the
    artifact from being accepted whatever the checks say. `accuracy_confidence` is above 95 % where
    several candidates were tried at the gate (core/multiplicity.py).
    """

    artifact: str
    latency: Trial | None = None
    accuracy: AccuracyTrial | None = None
    accuracy_confidence: float = CONFIDENCE
    size_bytes: int | None = None
    predictions: Mapping[str, Estimate] = {}
    doubts: tuple[str, ...] = ()


def judge(target: str, budgets: Sequence[Budget], findings: Findings) -> Verdict:
    """Judge every budget.

    Raises:
        UsageError: there is no budget, so nothing could be accepted or rejected.
        IntegrityError: a measurement is of another artifact.
    """
    if not budgets:
        raise UsageError(
            "There is no budget to judge by. Give at least one, for example "
            "--budget latency_p95=60ms, or name a target that has some."
        )
    _require_same_artifact(findings)
    checks = tuple(_JUDGES[budget.definition.kind](budget, findings) for budget in budgets)
    reasons = (*_refusals(findings), *findings.doubts)
    outcomes = {check.outcome for check in checks}
    if Outcome.REJECTED in outcomes or _refusals(findings):
        outcome = Outcome.REJECTED
    elif Outcome.UNDECIDED in outcomes or reasons:
        outcome = Outcome.UNDECIDED
    else:
        outcome = Outcome.ACCEPTED
    waiting = [check for check in checks if check.outcome is Outcome.UNDECIDED]
    return Verdict(
        target=target,
        artifact=findings.artifact,
        outcome=outcome,
        provisional=outcome is Outcome.UNDECIDED
        and not reasons
        and all(check.predicted_inside for check in waiting),
        checks=checks,
        reasons=reasons,
    )


def _require_same_artifact(findings: Findings) -> None:
    for trial in (findings.latency, findings.accuracy):
        if trial is not None and trial.artifact != findings.artifact:
            raise IntegrityError(
                f"A measurement is of artifact {trial.artifact[:12]} and not of "
                f"{findings.artifact[:12]}, which is being judged. Measure again."
            )


def _refusals(findings: Findings) -> tuple[str, ...]:
    """Faults of the artifact as a whole, each enough to reject it."""
    found = []
    if findings.latency is not None:
        if findings.latency.failure is not None:
            found.append(findings.latency.failure)
        mismatched = sum(r.mismatched for r in findings.latency.rounds)
        if mismatched:
            compared = sum(r.compared for r in findings.latency.rounds)
            found.append(
                f"{mismatched} of {compared} timed requests gave another output than the accuracy "
                "run: the runtime caches, skips or is not deterministic."
            )
    if findings.accuracy is not None and findings.accuracy.non_finite:
        found.append(
            f"{findings.accuracy.non_finite} of {findings.accuracy.examples} outputs are not "
            "finite numbers."
        )
    return tuple(found)


def _judge_latency(budget: Budget, findings: Findings) -> Check:
    trial = findings.latency
    if trial is None or not trial.evidence.at_least(Evidence.TARGET):
        return _judge_prediction(budget, findings)
    if trial.failure is not None:
        return _rejected(budget, trial.evidence, trial.failure)
    rounds = [r.samples_s for r in trial.counted]
    noisy = too_noisy(trial)
    if noisy or not any(rounds):
        return Check(
            metric=budget.metric,
            limit=budget.limit,
            outcome=Outcome.UNDECIDED,
            evidence=trial.evidence,
            reason=noisy or "No round was measured.",
            settle="measure again on a quiet machine",
        )
    return latency_check(budget, rounds, trial.evidence)


def too_noisy(trial: Trial) -> str | None:
    """Why so many rounds are void that nothing is said of latency, or None."""
    void = [r for r in trial.rounds if r.void is not None]
    if len(void) > VOID_SHARE_MAX * len(trial.rounds):
        return f"{len(void)} of {len(trial.rounds)} rounds are void ({void[0].void})."
    return None


def _judge_memory(budget: Budget, findings: Findings) -> Check:
    trial = findings.latency
    if trial is None or not trial.evidence.at_least(Evidence.TARGET):
        return _judge_prediction(budget, findings)
    if trial.failure is not None:
        return _rejected(budget, trial.evidence, trial.failure)
    peaks = sorted(r.peak_rss_bytes for r in trial.rounds)
    enough = len(peaks) >= least_rounds(CONFIDENCE)
    if enough and peaks[-1] <= budget.limit:
        outcome = Outcome.ACCEPTED
    elif enough and peaks[0] > budget.limit:
        outcome = Outcome.REJECTED
    else:
        outcome = Outcome.UNDECIDED
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=outcome,
        evidence=trial.evidence,
        observed=float(peaks[len(peaks) // 2]) if peaks else None,
        lower=float(peaks[0]) if peaks else None,
        upper=float(peaks[-1]) if peaks else None,
        confidence=CONFIDENCE,
        samples=len(peaks),
        reason=f"peak of {len(peaks)} fresh processes, least to most",
        settle="measure more rounds" if outcome is Outcome.UNDECIDED else None,
    )


def _judge_throughput(budget: Budget, findings: Findings) -> Check:
    trial = findings.latency
    if trial is None or not trial.evidence.at_least(Evidence.TARGET):
        return _judge_prediction(budget, findings)
    if trial.failure is not None:
        return _rejected(budget, trial.evidence, trial.failure)
    words = f"examples a second in {len(trial.rates)} rounds, least to most"
    return _judge_rounds(budget, trial, trial.rates, words)


def _judge_energy(budget: Budget, findings: Findings) -> Check:
    """By the machine's own counter where the target has one; else only predicted."""
    trial = findings.latency
    if trial is None or not trial.evidence.at_least(Evidence.TARGET) or not trial.joules:
        return _judge_prediction(budget, findings)
    words = f"of the whole processor or card, in {len(trial.joules)} rounds, least to most"
    return _judge_rounds(budget, trial, trial.joules, words)


def _judge_rounds(budget: Budget, trial: Trial, values: Sequence[float], words: str) -> Check:
    """One value a round: all of five or more on one side bound their median (the sign test)."""
    ordered = sorted(values)
    noisy = too_noisy(trial)
    outcome = Outcome.UNDECIDED
    if len(ordered) >= least_rounds(CONFIDENCE) and noisy is None:
        inside = [budget.allows(value) for value in ordered]
        outcome = Outcome.ACCEPTED if all(inside) else outcome
        outcome = outcome if any(inside) else Outcome.REJECTED
    quiet = "measure more rounds" if noisy is None else "measure again on a quiet machine"
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


def _judge_size(budget: Budget, findings: Findings) -> Check:
    size = findings.size_bytes
    if size is None:
        return _rejected(budget, None, "The artifact's size is missing.")
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


def _judge_accuracy(budget: Budget, findings: Findings) -> Check:
    trial = findings.accuracy
    if trial is None or not trial.examples:
        return _rejected(budget, None, "Accuracy was not measured: there is no evaluation data.")
    confidence = findings.accuracy_confidence
    bounds = loss_bounds(trial.lost, trial.gained, trial.examples, confidence)
    inside, outside = bounds.upper <= budget.limit, bounds.lower > budget.limit
    outcome = Outcome.ACCEPTED if inside else Outcome.UNDECIDED
    outcome = Outcome.REJECTED if outside else outcome
    settle = None if inside or outside else _more_examples(trial, budget.limit, confidence)
    reason = (
        f"{trial.lost} lost and {trial.gained} gained of {trial.examples}"
        if trial.labelled
        else f"no labels: {trial.lost} of {trial.examples} answers differ from the reference's, "
        "which bounds the loss from above"
    )
    if trial.synthetic and outcome is Outcome.ACCEPTED:
        outcome = Outcome.UNDECIDED
        settle = "give real inputs with --data: agreement on made-up inputs proves nothing"
    if not trial.exact_arithmetic and not trial.evidence.at_least(Evidence.TARGET):
        outcome = Outcome.UNDECIDED
        reason += "; this machine's int8 arithmetic is not the target's"
        settle = ON_DEVICE
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=outcome,
        evidence=trial.evidence,
        observed=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        confidence=confidence,
        samples=trial.examples,
        reason=reason,
        settle=settle,
    )


def _more_examples(trial: AccuracyTrial, limit: float, confidence: float) -> str:
    more = examples_to_settle(trial.lost, trial.gained, trial.examples, limit, confidence)
    if more is None:
        return "the loss seen is the budget's own: no number of examples is likely to settle it"
    return f"evaluate on about {more:,} more examples"


def _judge_prediction(budget: Budget, findings: Findings) -> Check:
    """A budget that only the target can settle: undecided, with what is expected."""
    estimate = findings.predictions.get(budget.metric)
    if findings.latency is not None and findings.latency.failure is not None:
        return _rejected(budget, findings.latency.evidence, findings.latency.failure)
    if estimate is None:
        return _rejected(
            budget, None, f"There is neither a measurement nor a prediction of {budget.metric}."
        )
    worst = budget.worse(estimate.lower, estimate.upper)
    inside = budget.allows(worst)
    where = "inside" if inside else "not wholly inside"
    way = "down" if budget.definition.higher else "up"
    shown = show_quantity(worst, budget.definition.dimension)
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=Outcome.UNDECIDED,
        evidence=Evidence.PREDICTED,
        observed=estimate.value,
        lower=estimate.lower,
        upper=estimate.upper,
        confidence=estimate.coverage,
        reason=f"predicted {way} to {shown}, {where} the budget ({estimate.basis})",
        settle=ON_DEVICE,
        predicted_inside=inside,
    )


def _rejected(budget: Budget, evidence: Evidence | None, reason: str) -> Check:
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=Outcome.REJECTED,
        evidence=evidence,
        reason=reason,
    )


_JUDGES: Final[Mapping[Kind, Callable[[Budget, Findings], Check]]] = {
    Kind.LATENCY: _judge_latency,
    Kind.MEMORY: _judge_memory,
    Kind.SIZE: _judge_size,
    Kind.ACCURACY: _judge_accuracy,
    Kind.ENERGY: _judge_energy,
    Kind.THROUGHPUT: _judge_throughput,
}
