"""One bound for right and wrong and for mAP."""

import math

import msgspec
import pytest

from deployopt.core.accuracy_loss import accuracy_bounds, accuracy_p_value
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.paired import loss_bounds, loss_p_value
from deployopt.core.precision_loss import PrecisionLoss, precision_loss_bounds

LABELS = AccuracyTrial(
    artifact="a",
    split=Split.GATE,
    evidence=Evidence.TARGET,
    labelled=True,
    examples=1000,
    both_right=900,
    lost=12,
    gained=8,
    both_wrong=80,
)
LOSS = PrecisionLoss(reference=0.6, candidate=0.59, boxes=900, unlike=40, pulls=(0.2, -0.2) * 200)


def test_labels_are_judged_by_their_counts() -> None:
    assert accuracy_bounds(LABELS) == loss_bounds(12, 8, 1000)
    assert accuracy_p_value(LABELS, 0.01) == loss_p_value(12, 8, 1000, 0.01)
    assert LABELS.reference_accuracy == pytest.approx(0.912)


def test_boxes_are_judged_by_their_loss() -> None:
    trial = msgspec.structs.replace(LABELS, precision=LOSS)
    assert accuracy_bounds(trial) == precision_loss_bounds(LOSS, 0.95)
    assert trial.reference_accuracy == 0.6
    assert trial.candidate_accuracy == 0.59


def test_too_few_images_settle_nothing() -> None:
    few = msgspec.structs.replace(LOSS, pulls=LOSS.pulls[:60])
    trial = msgspec.structs.replace(LABELS, precision=few)
    bounds = accuracy_bounds(trial)
    assert (bounds.lower, bounds.upper) == (-math.inf, math.inf)
    assert bounds.estimate == pytest.approx(0.01)
    assert accuracy_p_value(trial, 0.5) == 1.0
