"""The loss of mAP with its bounds: never closer than the evidence, and one rule for both forms."""

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from deployopt.core.precision_loss import (
    PrecisionLoss,
    precision_loss_bounds,
    precision_loss_p_value,
)


def loss_with(
    pulls: list[float], seen: float, unlike: int = 50, cost: float = 0.0
) -> PrecisionLoss:
    costs = (cost,) * len(pulls) if unlike < 10 else ()
    return PrecisionLoss(
        reference=0.5,
        candidate=0.5 - seen,
        boxes=400,
        unlike=unlike,
        pulls=tuple(pulls),
        costs=costs,
    )


def symmetric(count: int = 400, spread: float = 0.1) -> list[float]:
    return [spread, -spread] * (count // 2)


def test_without_skew_and_bias_it_is_the_t_bound() -> None:
    pulls = symmetric()
    found = precision_loss_bounds(loss_with(pulls, 0.01), 0.95)
    reach = stats.t.ppf(0.95, 399) * np.std(pulls, ddof=1) / 20
    assert found.estimate == pytest.approx(0.01)
    assert found.upper == pytest.approx(0.01 + reach)
    assert found.lower == pytest.approx(0.01 - reach)


def test_few_images_that_lose_much_push_the_bound_up() -> None:
    skewed = [1.0] * 4 + [0.0] * 396
    centred = [pull - 0.01 for pull in skewed]
    found = precision_loss_bounds(loss_with(centred, 0.01), 0.95)
    plain = 0.01 + stats.t.ppf(0.95, 399) * np.std(skewed, ddof=1) / 20
    assert found.upper > plain + 0.003


def test_a_bias_counts_four_times_and_only_towards_caution() -> None:
    up = precision_loss_bounds(loss_with([p + 0.002 for p in symmetric()], 0.01), 0.95)
    none = precision_loss_bounds(loss_with(symmetric(), 0.01), 0.95)
    down = precision_loss_bounds(loss_with([p - 0.002 for p in symmetric()], 0.01), 0.95)
    assert up.upper == pytest.approx(none.upper + 0.008)
    assert down.upper == pytest.approx(none.upper)


def test_where_nothing_differs_the_costliest_images_bound_it() -> None:
    found = precision_loss_bounds(loss_with([0.0] * 300, 0.0, unlike=0, cost=0.004), 0.95)
    many = 300 * (1 - 0.05 ** (1 / 300))
    assert found.upper == pytest.approx(many * 0.004)
    assert found.lower == -found.upper


@pytest.mark.parametrize("margin", [0.005, 0.012, 0.018, 0.03])
@pytest.mark.parametrize("unlike", [0, 50])
def test_the_p_value_says_what_the_bound_says(margin: float, unlike: int) -> None:
    pulls = [*symmetric(396), 0.9, 0.8, 0.9, 0.7]
    loss = loss_with(pulls, 0.008, unlike=unlike, cost=0.003)
    for confidence in (0.9, 0.95, 0.99):
        inside = precision_loss_bounds(loss, confidence).upper <= margin
        assert (precision_loss_p_value(loss, margin) <= 1 - confidence) == inside


def test_too_few_images_and_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 300 images"):
        precision_loss_bounds(loss_with(symmetric(298), 0.0), 0.95)
    with pytest.raises(ValueError, match="finite"):
        precision_loss_p_value(loss_with([*symmetric(), math.nan], 0.0), 0.01)
    bare = msgspec.structs.replace(loss_with(symmetric(), 0.0), unlike=3)
    with pytest.raises(ValueError, match="missing"):
        precision_loss_bounds(bare, 0.95)


def test_pulls_that_are_all_alike_do_not_break_it() -> None:
    loss = loss_with([0.0] * 400, 0.0, unlike=0, cost=0.0)
    assert precision_loss_p_value(loss, 0.01) <= 1e-6
    assert precision_loss_bounds(loss, 0.95).upper == pytest.approx(0.0, abs=1e-12)
