"""Divergence against scipy; what is not finite is the worst there is."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from deployopt.graph.divergence import WORST, changes


def test_classes_are_compared_by_their_shares() -> None:
    random = np.random.default_rng(0)
    reference, answer = random.standard_normal((2, 7, 5)).astype(np.float32)
    found = changes(answer, reference, classifies=True)
    expected = entropy(softmax(reference, axis=1), softmax(answer, axis=1), axis=1)
    assert [change.error for change in found] == pytest.approx(expected, rel=1e-5)
    other = answer.argmax(1) != reference.argmax(1)
    assert [change.other_class for change in found] == other.tolist()
    assert 0 < sum(other) < 7


def test_the_same_answer_is_no_change() -> None:
    logits = np.array([[30.0, -80.0], [1000.0, 0.0]], np.float32)
    assert changes(logits, logits, classifies=True) == [(0.0, False)] * 2
    assert changes(logits, logits, classifies=False) == [(0.0, False)]


def test_other_outputs_by_their_squared_difference() -> None:
    (change,) = changes(np.array([1.0, 3.0]), np.array([1.0, 2.0]), classifies=False)
    assert change.error == pytest.approx(0.5 / 2.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("classifies", [True, False])
def test_what_is_not_finite_is_worst(bad: float, *, classifies: bool) -> None:
    (change,) = changes(np.array([[bad, 0.0]]), np.array([[1.0, 0.0]]), classifies=classifies)
    assert change == (WORST, classifies)
