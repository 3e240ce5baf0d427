"""What makes an accuracy figure doubtful though every check is inside.

The reference must reproduce what its maker says of it, and must know more than the commonest label:
otherwise labels or preprocessing are likely to be mixed up, and the paired loss means little.
"""

from collections import Counter
from typing import Final

import msgspec

from deployopt.core.distributions import proportion_lower, proportion_upper
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.precision_loss import PrecisionLoss
from deployopt.core.recall_loss import RecallLoss
from deployopt.core.source import Dataset, DeclaredAccuracy, SourceModel

_CONFIDENCE: Final = 0.999
"""Of each end of an interval: a doubt is raised wrongly in one build of five hundred."""
_PRECISION_MIN: Final = 0.02
_RECALL_MIN: Final = 0.02
"""A budget of one point is half of all that such a detector has."""


def accuracy_doubts(source: SourceModel, dataset: Dataset, trial: AccuracyTrial) -> tuple[str, ...]:
    """Sentences for a person; empty where nothing is amiss or nobody can tell."""
    if not trial.labelled:
        return ()
    if trial.precision is not msgspec.UNSET:
        return _finds_nothing(trial.precision)
    if trial.recall is not msgspec.UNSET:
        return _matches_nothing(trial.recall, trial.examples)
    right = trial.both_right + trial.lost
    found = (
        _no_better_than_guessing(dataset, right, trial.examples),
        _not_as_declared(source.declared, dataset, right, trial.examples),
    )
    return tuple(doubt for doubt in found if doubt is not None)


def _finds_nothing(precision: PrecisionLoss) -> tuple[str, ...]:
    if precision.reference >= _PRECISION_MIN:
        return ()
    doubt = (
        f"The reference has an mAP of {precision.reference:.1%} on the gate split: it finds next "
        "to nothing, so there is nothing to lose. The categories of the data are probably not in "
        "the model's order, or its images are prepared in another way: check them."
    )
    return (doubt,)


def _matches_nothing(recall: RecallLoss, pairs: int) -> tuple[str, ...]:
    if recall.reference >= _RECALL_MIN:
        return ()
    doubt = (
        f"The reference has a recall of {recall.reference:.1%} among {pairs} pairs: its images and "
        "texts find each other next to never, so there is nothing to lose. The captions are "
        "probably of other images, or in a language or style that the model has not learnt."
    )
    return (doubt,)


def _no_better_than_guessing(dataset: Dataset, right: int, examples: int) -> str | None:
    labels = decode_examples(dataset.splits[Split.GATE].path).labels
    if not labels:
        return None
    commonest = Counter(labels).most_common(1)[0][1] / examples
    if proportion_lower(right, examples, _CONFIDENCE) > commonest:
        return None
    return (
        f"The reference is right on {right / examples:.1%} of the gate split, no better than "
        "always "
        f"giving its commonest label ({commonest:.1%}). The labels of the data are probably not "
        "in the order of the model's: check them, or give a model of this task."
    )


def _not_as_declared(
    declared: DeclaredAccuracy | None, dataset: Dataset, right: int, examples: int
) -> str | None:
    if declared is None or declared.data != dataset.name:
        return None
    lower = proportion_lower(right, examples, _CONFIDENCE)
    upper = proportion_upper(right, examples, _CONFIDENCE)
    if lower <= declared.accuracy <= upper:
        return None
    return (
        f"The reference is right on {right / examples:.1%} of the gate split and declares "
        f"{declared.accuracy:.1%}: its preprocessing or its labels differ from its maker's."
    )
