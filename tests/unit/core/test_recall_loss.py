"""The loss of recall with its bounds: never closer than the evidence, one rule for both forms."""

import math

import numpy as np
import pytest
from scipy import stats

from deployopt.core.recall_loss import RecallLoss, recall_loss_bounds, recall_loss_p_value


def loss_with(pulls: list[float], seen: float, unlike: int = 50) -> RecallLoss:
    return RecallLoss(
        reference=0.8,
        candidate=0.8 - seen,
        image_to_text=(0.7, 0.7 - seen),
        text_to_image=(0.9, 0.9 - seen),
        unlike=unlike,
        pulls=tuple(pulls),
    )


def spread(count: int = 400, size: float = 0.1) -> list[float]:
    return [size, -size] * (count // 2)


def test_it_is_the_t_bound_on_the_pulls() -> None:
    pulls = spread()
    found = recall_loss_bounds(loss_with(pulls, 0.01), 0.95)
    reach = stats.t.ppf(0.95, 399) * np.std(pulls, ddof=1) / 20
    assert found.estimate == pytest.approx(0.01)
    assert found.upper == pytest.approx(0.01 + reach)
    assert found.lower == pytest.approx(0.01 - reach)


@pytest.mark.parametrize("unlike", [0, 3, 9])
def test_while_little_differs_the_share_that_may_bounds_it(unlike: int) -> None:
    found = recall_loss_bounds(loss_with([0.0] * 400, 0.0, unlike), 0.95)
    share = stats.beta.ppf(0.95, unlike + 1, 400 - unlike)
    assert found.upper == pytest.approx(share)
    assert found.lower == pytest.approx(-share)
    assert recall_loss_bounds(loss_with([0.0] * 400, 0.0, 10), 0.95).upper == pytest.approx(0.0)


@pytest.mark.parametrize("unlike", [0, 5, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_p_value_and_bound_say_the_same(unlike: int, alpha: float) -> None:
    loss = loss_with(spread(), 0.004, unlike)
    upper = recall_loss_bounds(loss, 1 - alpha).upper
    assert recall_loss_p_value(loss, upper + 1e-4) < alpha < recall_loss_p_value(loss, upper - 1e-4)


def test_too_little_says_nothing() -> None:
    with pytest.raises(ValueError, match="at least 300 pairs, got 299"):
        recall_loss_bounds(loss_with([0.0] * 299, 0.0), 0.95)
    with pytest.raises(ValueError, match="finite"):
        recall_loss_p_value(loss_with([math.nan] * 300, 0.0), 0.01)
