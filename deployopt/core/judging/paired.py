"""The budget on accuracy: right and wrong, mAP or recall, on the reference's examples."""

import math
from typing import Final

import msgspec

from deployopt.core.accuracy_loss import accuracy_bounds
from deployopt.core.budget import Budget
from deployopt.core.distributions import normal_quantile, proportion_lower
from deployopt.core.evidence import Evidence
from deployopt.core.image_drift import ImageDrift
from deployopt.core.judging.findings import ON_DEVICE, Findings, rejected
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import AccuracyTrial
from deployopt.core.paired import LossBounds
from deployopt.core.precision_loss import LEAST_IMAGES, PrecisionLoss
from deployopt.core.recall_loss import RecallLoss
from deployopt.core.sample_size import examples_to_settle
from deployopt.core.verdict import Check, Outcome

_POWER: Final = 0.9
_MOST_IMAGES: Final = 1_000_000


def judge_accuracy(budget: Budget, findings: Findings) -> Check:
    """By Tango's bound, or an exact one where little differs; mAP, recall by the jackknife's."""
    trial = findings.accuracy
    if trial is None or not trial.examples:
        return rejected(budget, None, "Accuracy was not measured: there is no evaluation data.")
    confidence = findings.accuracy_confidence
    bounds = accuracy_bounds(trial, confidence)
    inside, outside = bounds.upper <= budget.limit, bounds.lower > budget.limit
    outcome = Outcome.ACCEPTED if inside else Outcome.UNDECIDED
    outcome = Outcome.REJECTED if outside else outcome
    settle = None if inside or outside else _more(trial, bounds, budget.limit, confidence)
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
        reason += f"; answered by {trial.stand_in}"
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=outcome,
        evidence=trial.evidence,
        observed=bounds.estimate,
        lower=bounds.lower if math.isfinite(bounds.lower) else None,
        upper=bounds.upper if math.isfinite(bounds.upper) else None,
        confidence=confidence,
        samples=trial.examples,
        reason=reason,
        settle=settle,
        predicted_inside=waits,
    )


def _words(trial: AccuracyTrial) -> str:
    if trial.precision is not msgspec.UNSET:
        return _precision_words(trial, trial.precision)
    if trial.recall is not msgspec.UNSET:
        return _recall_words(trial, trial.recall)
    if trial.drift is not msgspec.UNSET:
        return _drift_words(trial, trial.drift)
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


def _drift_words(trial: AccuracyTrial, drift: ImageDrift) -> str:
    return (
        f"{trial.lost} of {trial.examples} images are further than {drift.limit:.0%} from the "
        f"reference's (relative error of all pixels: median {drift.median:.2%}, worst "
        f"{drift.worst:.2%}), which says nothing of whether people would mind"
    )


def _precision_words(trial: AccuracyTrial, precision: PrecisionLoss) -> str:
    return (
        f"mAP {precision.reference:.4f} of the reference, {precision.candidate:.4f} of this one, "
        f"{precision.boxes} boxes in {trial.examples} images, of which {precision.unlike} are "
        "found in unlike"
    )


def _recall_words(trial: AccuracyTrial, recall: RecallLoss) -> str:
    there, back = recall.image_to_text, recall.text_to_image
    return (
        f"recall at 1 among {trial.examples} pairs: image to text {there[0]:.1%} of the reference "
        f"and {there[1]:.1%} of this one, text to image {back[0]:.1%} and {back[1]:.1%}; "
        f"{recall.unlike} pairs are answered unlike"
    )


def _guessed(trial: AccuracyTrial) -> bool:
    """Whether the reference itself may be choosing blindly, for all that was seen."""
    if trial.guessing is None:
        return False
    right = trial.both_right + trial.lost
    return proportion_lower(right, trial.examples, CONFIDENCE) <= trial.guessing


def _more(trial: AccuracyTrial, bounds: LossBounds, limit: float, confidence: float) -> str:
    if trial.over_all is not None:
        return _more_images(trial, bounds, limit, confidence)
    noun = "examples" if trial.guessing is None else "questions"
    more = examples_to_settle(trial.lost, trial.gained, trial.examples, limit, confidence)
    if more is None:
        return f"the loss seen is the budget's own: no number of {noun} is likely to settle it"
    return f"evaluate on about {more:,} more {noun}"


def _more_images(trial: AccuracyTrial, bounds: LossBounds, limit: float, confidence: float) -> str:
    """As if the bounds came nearer by the root of the number, with a power of 90 %."""
    if not math.isfinite(bounds.upper):
        return f"give data with at least {LEAST_IMAGES} images for the gate"
    gap = abs(limit - bounds.estimate)
    end = bounds.upper if bounds.estimate <= limit else bounds.lower
    wanted = abs(end - bounds.estimate) * (
        1.0 + normal_quantile(_POWER) / normal_quantile(confidence)
    )
    if not 0.0 < wanted < gap * math.sqrt(_MOST_IMAGES / trial.examples):
        return "the loss seen is the budget's own: no number of images is likely to settle it"
    more = max(1, math.ceil(trial.examples * ((wanted / gap) ** 2 - 1.0)))
    return f"evaluate on about {more:,} more images"
