"""Accuracy at the gate, where nothing was compared; tests of gate.py have the rest."""

import msgspec
import pytest

from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.judging.findings import Findings
from deployopt.core.judging.paired import judge_accuracy
from deployopt.core.precision_loss import PrecisionLoss
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


def boxes(seen: float, images: int = 400, spread: float = 0.05) -> Findings:
    """A detector's loss of mAP, its images pulling alike in both directions."""
    loss = PrecisionLoss(
        reference=0.6,
        candidate=0.6 - seen,
        boxes=900,
        unlike=40,
        pulls=(spread, -spread) * (images // 2),
    )
    trial = msgspec.structs.replace(accuracy(20, 20, examples=images, gate=True), precision=loss)
    return Findings(artifact=DIGEST, accuracy=trial)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [(0.001, Outcome.ACCEPTED), (0.009, Outcome.UNDECIDED), (0.03, Outcome.REJECTED)],
)
def test_a_detector_is_judged_by_its_loss_of_map(seen: float, outcome: Outcome) -> None:
    check = judge_accuracy(Budget(metric="map_drop", limit=0.01), boxes(seen))
    assert check.outcome is outcome
    assert check.observed == pytest.approx(seen)
    assert check.reason == (
        f"mAP 0.6000 of the reference, {0.6 - seen:.4f} of this one, 900 boxes in 400 images, of "
        "which 40 are found in unlike"
    )
    assert ("more images" in (check.settle or "")) == (outcome is Outcome.UNDECIDED)


def test_too_few_images_are_undecided_and_say_how_many() -> None:
    check = judge_accuracy(Budget(metric="map_drop", limit=0.01), boxes(0.0, images=160))
    assert check.outcome is Outcome.UNDECIDED
    assert (check.lower, check.upper) == (None, None)
    assert "at least 300 images" in (check.settle or "")


def test_a_loss_that_is_the_budget_needs_no_images() -> None:
    check = judge_accuracy(Budget(metric="map_drop", limit=0.01), boxes(0.01))
    assert "no number of images" in (check.settle or "")
