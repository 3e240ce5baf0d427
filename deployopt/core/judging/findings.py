"""What is known of one artifact, and the checks that rest on nothing measured."""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import AccuracyTrial, Trial
from deployopt.core.scores import ScoreTrial
from deployopt.core.units import show_quantity
from deployopt.core.verdict import Check, Outcome

ON_DEVICE: Final = "run `deployopt verify BUNDLE` on the target"


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one artifact on one target; None where nothing is.

    A language model has `scores` in place of `accuracy`. `predictions` maps a metric's name to its
    estimate. `doubts` are sentences that keep the artifact from being accepted whatever the checks
    say. `accuracy_confidence`, of accuracy and scores, is above 95 % where several candidates were
    tried at the gate (core/multiplicity.py).
    """

    artifact: str
    latency: Trial | None = None
    accuracy: AccuracyTrial | None = None
    scores: ScoreTrial | None = None
    accuracy_confidence: float = CONFIDENCE
    size_bytes: int | None = None
    predictions: Mapping[str, Estimate] = {}
    doubts: tuple[str, ...] = ()

    @property
    def on_target(self) -> Trial | None:
        """The rounds, where they ran on the target."""
        trial = self.latency
        return trial if trial is not None and trial.evidence.at_least(Evidence.TARGET) else None


def rejected(budget: Budget, evidence: Evidence | None, reason: str) -> Check:
    """A budget for which the number is missing."""
    return Check(
        metric=budget.metric,
        limit=budget.limit,
        outcome=Outcome.REJECTED,
        evidence=evidence,
        reason=reason,
    )


def judge_prediction(budget: Budget, findings: Findings) -> Check:
    """A budget that only the target can settle: undecided, with what is expected."""
    estimate = findings.predictions.get(budget.metric)
    if findings.latency is not None and findings.latency.failure is not None:
        return rejected(budget, findings.latency.evidence, findings.latency.failure)
    if estimate is None:
        return rejected(
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
