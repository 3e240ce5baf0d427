"""How far images are apart, in words and in a verdict."""

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings
from deployopt.core.image_drift import ImageDrift
from deployopt.core.judging.paired import judge_accuracy
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.verdict import Outcome

DRIFT = ImageDrift(median=0.012, worst=0.15, parts_s={"text": 0.1, "unet": 8.9, "decoder": 1.0})
TRIAL = AccuracyTrial(
    artifact="d", split=Split.GATE, evidence=Evidence.TARGET, labelled=False, examples=200,
    both_right=199, lost=1, gained=0, both_wrong=0, drift=DRIFT,
)  # fmt: skip


def test_it_is_told_with_each_parts_share() -> None:
    (told,) = TRIAL.told
    assert "1.20% in the median and 15.00% at most" in told
    assert "text 1.0%, unet 89.0%, decoder 10.0%" in told
    assert "time" not in ImageDrift(median=0.0, worst=0.0).words
    assert msgspec.structs.replace(TRIAL, drift=msgspec.UNSET).told == ()


def test_what_stood_in_for_a_card_tells_no_shares_of_its_time() -> None:
    (told,) = msgspec.structs.replace(TRIAL, stand_in="the same graph on a CPU").told
    assert told == DRIFT.far
    assert "15.00% at most" in told


def test_images_that_differ_are_lost_accuracy() -> None:
    check = judge_accuracy(
        Budget(metric="accuracy_drop", limit=0.05), Findings(artifact="d", accuracy=TRIAL)
    )
    assert check.outcome is Outcome.ACCEPTED
    assert check.observed == 0.005
    assert check.reason.startswith("1 of 200 images are further than 10% from the reference's")
    many = msgspec.structs.replace(TRIAL, both_right=150, lost=50)
    check = judge_accuracy(
        Budget(metric="accuracy_drop", limit=0.05), Findings(artifact="d", accuracy=many)
    )
    assert check.outcome is Outcome.REJECTED
