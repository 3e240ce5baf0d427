"""One bound for right and wrong, for mAP and for recall."""

import math

import msgspec
import pytest

from deployopt.core.accuracy_loss import accuracy_bounds, accuracy_p_value
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.paired import loss_bounds, loss_p_value
from deployopt.core.precision_loss import PrecisionLoss, precision_loss_bounds
from deployopt.core.recall_loss import RecallLoss, recall_loss_bounds, recall_loss_p_value

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


def test_pairs_are_judged_by_their_recall() -> None:
    recall = RecallLoss(
        reference=0.7,
        candidate=0.68,
        image_to_text=(0.6, 0.6),
        text_to_image=(0.8, 0.76),
        unlike=40,
        pulls=(0.2, -0.2) * 200,
    )
    trial = msgspec.structs.replace(LABELS, recall=recall)
    assert accuracy_bounds(trial) == recall_loss_bounds(recall, 0.95)
    assert accuracy_p_value(trial, 0.03) == recall_loss_p_value(recall, 0.03)
    assert (trial.reference_accuracy, trial.candidate_accuracy) == (0.7, 0.68)
    few = msgspec.structs.replace(recall, pulls=recall.pulls[:60])
    assert accuracy_p_value(msgspec.structs.replace(LABELS, recall=few), 0.5) == 1.0
