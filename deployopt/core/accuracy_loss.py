"""The loss of a paired trial with its bounds: right and wrong, or a detector's mAP.

In: an AccuracyTrial and a confidence, or a margin. Out: one-sided bounds, infinite where there are
too few images to say anything of mAP; or a p-value, then 1.
"""

import math

import msgspec

from deployopt.core.measurement import AccuracyTrial
from deployopt.core.paired import LossBounds, loss_bounds, loss_p_value
from deployopt.core.precision_loss import precision_loss_bounds, precision_loss_p_value


def accuracy_bounds(trial: AccuracyTrial, confidence: float = 0.95) -> LossBounds:
    """Of the loss, reference less candidate, as a share of one."""
    if trial.precision is msgspec.UNSET:
        return loss_bounds(trial.lost, trial.gained, trial.examples, confidence)
    try:
        return precision_loss_bounds(trial.precision, confidence)
    except ValueError:
        seen = trial.reference_accuracy - trial.candidate_accuracy
        return LossBounds(estimate=seen, lower=-math.inf, upper=math.inf)


def accuracy_p_value(trial: AccuracyTrial, margin: float) -> float:
    """Against "the loss is at least `margin`"."""
    if trial.precision is msgspec.UNSET:
        return loss_p_value(trial.lost, trial.gained, trial.examples, margin)
    try:
        return precision_loss_p_value(trial.precision, margin)
    except ValueError:
        return 1.0
