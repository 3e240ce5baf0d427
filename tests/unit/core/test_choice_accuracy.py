"""Questions become a paired trial of right and wrong."""

import msgspec
import pytest

from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.choices import QuestionScore
from tests.fakes.language import scored_trial


def question(reference: int, candidate: int | None, choices: int = 4) -> QuestionScore:
    return QuestionScore(choices=choices, answer=0, reference=reference, candidate=candidate)


def test_right_and_wrong_are_counted_in_pairs() -> None:
    asked = (question(0, 0), question(0, 1), question(0, 2), question(3, 0), question(1, 2, 2))
    trial = choice_accuracy(msgspec.structs.replace(scored_trial(), questions=asked))
    assert trial is not None
    assert (trial.both_right, trial.lost, trial.gained, trial.both_wrong) == (1, 2, 1, 1)
    assert (trial.examples, trial.labelled, trial.non_finite) == (5, True, 0)
    assert trial.guessing == pytest.approx((4 * 0.25 + 0.5) / 5)
    assert trial.artifact == scored_trial().artifact


def test_a_choice_that_is_not_finite_is_wrong_and_counted() -> None:
    asked = (question(0, None), question(1, None))
    trial = choice_accuracy(msgspec.structs.replace(scored_trial(), questions=asked))
    assert trial is not None
    assert (trial.lost, trial.both_wrong, trial.non_finite) == (1, 1, 2)


def test_without_questions_there_is_none() -> None:
    assert choice_accuracy(scored_trial()) is None
