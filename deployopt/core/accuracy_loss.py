"""The loss of a paired trial with its bounds: right and wrong, a detector's mAP, or recall.

In: an AccuracyTrial and a confidence, or a margin. Out: one-sided bounds, infinite where there are
too few images to say anything of mAP or recall; or a p-value, then 1.
"""

import math

import msgspec

from deployopt.core.measurement import AccuracyTrial
from deployopt.core.paired import LossBounds, loss_bounds, loss_p_value
from deployopt.core.precision_loss import precision_loss_bounds, precision_loss_p_value
from deployopt.core.recall_loss import recall_loss_bounds, recall_loss_p_value


def accuracy_bounds(trial: AccuracyTrial, confidence: float = 0.95) -> LossBounds:
    """Of the loss, reference less candidate, as a share of one."""
    try:
        if trial.recall is not msgspec.UNSET:
            return recall_loss_bounds(trial.recall, confidence)
        if trial.precision is not msgspec.UNSET:
            return precision_loss_bounds(trial.precision, confidence)
    except ValueError:
        seen = trial.reference_accuracy - trial.candidate_accuracy
        return LossBounds(estimate=seen, lower=-math.inf, upper=math.inf)
    return loss_bounds(trial.lost, trial.gained, trial.examples, confidence)


def accuracy_p_value(trial: AccuracyTrial, margin: float) -> float:
    """Against "the loss is at least `margin`"."""
    try:
        if trial.recall is not msgspec.UNSET:
            return recall_loss_p_value(trial.recall, margin)
        if trial.precision is not msgspec.UNSET:
            return precision_loss_p_value(trial.precision, margin)
    except ValueError:
        return 1.0
    return loss_p_value(trial.lost, trial.gained, trial.examples, margin)
