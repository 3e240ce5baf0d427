"""Accuracy at the gate, where nothing was compared; tests of gate.py have the rest."""

import msgspec
import pytest

from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.judging.findings import Findings
from deployopt.core.judging.paired import judge_accuracy
from deployopt.core.verdict import Outcome
from tests.fakes.results import DIGEST, accuracy

BUDGET = Budget(metric="accuracy_drop", limit=0.01)


def test_no_examples_reject() -> None:
    none = msgspec.structs.replace(accuracy(0, 0), examples=0)
    for trial in (None, none):
        check = judge_accuracy(BUDGET, Findings(artifact=DIGEST, accuracy=trial))
        assert check.outcome is Outcome.REJECTED
        assert "not measured" in check.reason


@pytest.mark.parametrize(("lost", "outcome"), [(2, Outcome.ACCEPTED), (60, Outcome.REJECTED)])
def test_the_bound_decides(lost: int, outcome: Outcome) -> None:
    trial = accuracy(lost, 2, examples=3000, gate=True)
    check = judge_accuracy(BUDGET, Findings(artifact=DIGEST, accuracy=trial))
    assert check.outcome is outcome
    assert check.evidence is Evidence.PROXY
    assert check.reason == f"{lost} lost and 2 gained of 3000"


def asked(right: int, lost: int, gained: int, questions: int = 3000) -> Findings:
    """Questions of four choices, of which the reference has so many right."""
    trial = msgspec.structs.replace(
        accuracy(lost, gained, examples=questions, gate=True),
        both_right=right - lost,
        both_wrong=questions - right - gained,
        guessing=0.25,
    )
    return Findings(artifact=DIGEST, accuracy=trial)


def test_questions_are_judged_as_examples_are() -> None:
    check = judge_accuracy(BUDGET, asked(1200, 12, 14))
    assert check.outcome is Outcome.ACCEPTED
    assert check.reason == (
        "12 lost and 14 gained of 3000 questions; the reference has 40.0 % right, guessing 25.0 %"
    )
    assert judge_accuracy(BUDGET, asked(1200, 90, 10)).outcome is Outcome.REJECTED
    unsure = judge_accuracy(BUDGET, asked(1200, 60, 40))
    assert unsure.outcome is Outcome.UNDECIDED
    assert "more questions" in (unsure.settle or "")


@pytest.mark.parametrize("right", [700, 750, 780])
def test_whoever_may_be_guessing_proves_nothing(right: int) -> None:
    check = judge_accuracy(BUDGET, asked(right, 0, 0))
    assert check.outcome is Outcome.UNDECIDED
    assert "that the model can answer" in (check.settle or "")
    assert judge_accuracy(BUDGET, asked(right, 200, 0)).outcome is Outcome.REJECTED


def test_a_little_better_than_guessing_is_enough() -> None:
    assert judge_accuracy(BUDGET, asked(800, 0, 0)).outcome is Outcome.ACCEPTED
