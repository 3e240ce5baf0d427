"""Questions with choices as a paired trial of right and wrong, as classifiers have one.

In: the scores of a language model and its reference. Out: the trial that the gate's rule on
accuracy takes (core/judging/paired.py), questions being the independent units.
"""

from collections import Counter

from deployopt.core.measurement import AccuracyTrial
from deployopt.core.scores import ScoreTrial


def choice_accuracy(trial: ScoreTrial) -> AccuracyTrial | None:
    """None where no questions were asked; a choice that is not finite counts as wrong."""
    if not trial.questions:
        return None
    counts = Counter(
        (one.reference == one.answer, one.candidate == one.answer) for one in trial.questions
    )
    return AccuracyTrial(
        artifact=trial.artifact,
        split=trial.split,
        evidence=trial.evidence,
        labelled=True,
        examples=len(trial.questions),
        both_right=counts[True, True],
        lost=counts[True, False],
        gained=counts[False, True],
        both_wrong=counts[False, False],
        non_finite=sum(one.candidate is None for one in trial.questions),
        guessing=sum(1.0 / one.choices for one in trial.questions) / len(trial.questions),
        exact_arithmetic=trial.exact_arithmetic,
        stand_in=trial.stand_in,
        note=trial.note,
    )
