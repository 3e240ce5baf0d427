"""Places that two runtimes rank otherwise are compared as the same places."""

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from deployopt.core.errors import StepError
from deployopt.modeling.agreement import check_agreement
from deployopt.modeling.places import FirstOfEquals, in_order

pytestmark = pytest.mark.torch


def answers(seed: int = 0) -> list[list[np.ndarray]]:
    """Scores and boxes of two samples, of one image and of two."""
    random = np.random.default_rng(seed)
    return [
        [random.standard_normal((batch, 6, width)).astype(np.float32) for batch in (1, 2)]
        for width in (3, 4)
    ]


def test_swapped_places_are_put_back_scores_and_boxes_together() -> None:
    expected = answers()
    swapped = [[array[:, [0, 2, 1, 3, 5, 4]] + 1e-6 for array in output] for output in expected]
    for one, other in zip(expected, in_order(expected, swapped), strict=True):
        assert check_agreement(one, other, "it") < 1e-5
    with pytest.raises(StepError, match="differs from the model"):
        check_agreement(expected[0], swapped[0], "it")


def test_a_place_keeps_its_own_box() -> None:
    expected = answers()
    scores, boxes = expected
    wrong = [scores, [array[:, [0, 2, 1, 3, 4, 5]] for array in boxes]]
    aligned = in_order(expected, wrong)
    # Whichever place it is put to, its score or its box is not the one that belongs there.
    worst = [
        max(np.abs(a - b).max() for a, b in zip(one, other, strict=True))
        for one, other in zip(expected, aligned, strict=True)
    ]
    assert max(worst) > 0.1


def test_another_answer_stays_another() -> None:
    expected, found = answers(), answers(1)
    with pytest.raises(StepError, match="differs from the model"):
        check_agreement(expected[0], in_order(expected, found)[0], "it")
    shorter = [[array[:, :5] for array in output] for output in expected]
    with pytest.raises(StepError, match="gives the shape"):
        check_agreement(expected[0], in_order(expected, shorter)[0], "it")


def test_the_first_of_equals_is_kept_while_it_is_entered() -> None:
    scores = torch.zeros(2, 400)
    scores[:, 7] = 1.0
    with FirstOfEquals():
        best, chosen = torch.topk(scores, 4, dim=1)
        assert torch.topk(scores, k=2).indices.shape == (2, 2)
    assert chosen.tolist() == [[7, 0, 1, 2]] * 2
    assert best.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 2
