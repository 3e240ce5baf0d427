"""The worst benchmark decides."""

import pytest

from deployopt.core.gating import outcome_code, worst
from deployopt.core.verdict import Outcome

A, R, U = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("outcomes", "whole", "code"),
    [([A, A], A, 0), ([A, U], U, 3), ([U, R, A], R, 1), ([], U, 3)],
)
def test_the_worst_decides(outcomes: list[Outcome], whole: Outcome, code: int) -> None:
    assert worst(outcomes) is whole
    assert outcome_code(whole) == code
