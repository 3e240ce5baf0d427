"""The budget on accuracy: right and wrong on the same examples as the reference."""

from deployopt.core.budget import Budget
from deployopt.core.distributions import proportion_lower
from deployopt.core.evidence import Evidence
from deployopt.core.judging.findings import ON_DEVICE, Findings, rejected
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import AccuracyTrial
from deployopt.core.paired import loss_bounds
from deployopt.core.sample_size import examples_to_settle
from deployopt.core.verdict import Check, Outcome


def judge_accuracy(budget: Budget, findings: Findings) -> Check:
    """By Tango's bound, or an exact one where little differs."""
    trial = findings.accuracy
    if trial is None or not trial.examples:
        return rejected(budget, None, "Accuracy was not measured: there is no evaluation data.")
    confidence = findings.accuracy_confidence
    bounds = loss_bounds(trial.lost, trial.gained, trial.examples, confidence)
    inside, outside = bounds.upper <= budget.limit, bounds.lower > budget.limit
    outcome = Outcome.ACCEPTED if inside else Outcome.UNDECIDED
    outcome = Outcome.REJECTED if outside else outcome
    settle = None if inside or outside else _more_examples(trial, budget.limit, confidence)
    reason = _words(trial)
    if outcome is Outcome.ACCEPTED and _guessed(trial):
        outcome = Outcome.UNDECIDED
        settle = "give questions that the model can answer: whoever guesses has nothing to lose"
    if trial.synthetic and outcome is Outcome.ACCEPTED:
        outcome = Outcome.UNDECIDED
        settle = "give real inputs with --data: agreement on made-up inputs proves nothing"
    if not trial.exact_arithmetic and not trial.evidence.at_least(Evidence.TARGET):
        outcome = Outcome.UNDECIDED
        reason += "; this machine's int8 arithmetic is not the target's"
        settle = ON_DEVICE
    waits = trial.stand_in is not None and outcome is Outcome.ACCEPTED
    if waits:
        outcome, settle = Outcome.UNDECIDED, ON_DEVICE
        reason += f"; answered by {trial.stand_in}: the engine itself has not run"
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
        predicted_inside=waits,
    )


def _words(trial: AccuracyTrial) -> str:
    if not trial.labelled:
        return (
            f"no labels: {trial.lost} of {trial.examples} answers differ from the reference's, "
            "which bounds the loss from above"
        )
    counts = f"{trial.lost} lost and {trial.gained} gained of {trial.examples}"
    if trial.guessing is None:
        return counts
    right, blind = (100 * x for x in (trial.reference_accuracy, trial.guessing))
    return f"{counts} questions; the reference has {right:.1f} % right, guessing {blind:.1f} %"


def _guessed(trial: AccuracyTrial) -> bool:
    """Whether the reference itself may be choosing blindly, for all that was seen."""
    if trial.guessing is None:
        return False
    right = trial.both_right + trial.lost
    return proportion_lower(right, trial.examples, CONFIDENCE) <= trial.guessing


def _more_examples(trial: AccuracyTrial, limit: float, confidence: float) -> str:
    noun = "examples" if trial.guessing is None else "questions"
    more = examples_to_settle(trial.lost, trial.gained, trial.examples, limit, confidence)
    if more is None:
        return f"the loss seen is the budget's own: no number of {noun} is likely to settle it"
    return f"evaluate on about {more:,} more {noun}"
