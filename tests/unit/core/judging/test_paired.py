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
