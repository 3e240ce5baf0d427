"""Promise: what is certifiable and fast counts most, what is no faster nothing."""

import math

import pytest

from deployopt.core.paired import loss_bounds
from deployopt.pipeline.searching.merit import (
    IMPROVEMENT,
    Seen,
    allowed_loss,
    chance,
    improvements,
    promise,
)


def seen(lost: int, gained: int, rung: int = 0, examples: int = 500) -> Seen:
    return Seen(
        rung=rung,
        loss=loss_bounds(lost, gained, examples),
        examples=examples,
        discordant=lost + gained,
    )


def test_what_may_be_lost_is_the_budget_less_the_gates_own_error() -> None:
    assert allowed_loss(0.01, 3306, 0.06) == pytest.approx(
        0.01 - 1.6449 * math.sqrt(0.06 / 3306), abs=1e-6
    )
    assert allowed_loss(0.01, 300, 0.06) < 0


def test_a_smaller_loss_is_likelier_to_be_certified() -> None:
    chances = [chance(seen(lost, 15), 0.01, 3306, 0.0) for lost in (10, 20, 30, 40)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.5 > chances[-1]


def test_a_rung_that_still_improves_is_given_credit() -> None:
    early = chance(seen(25, 15), 0.01, 3306, 0.02)
    assert early > chance(seen(25, 15), 0.01, 3306, 0.0)


def test_improvements_are_learned_beside_the_usual_ones() -> None:
    assert improvements([]) == pytest.approx(IMPROVEMENT)
    better = improvements([(seen(40, 0), seen(10, 0, rung=1), seen(5, 0, rung=2))])
    assert better[0] == pytest.approx((IMPROVEMENT[0] + 0.07) / 2)
    assert better[1] == pytest.approx((IMPROVEMENT[1] + 0.01) / 2)
    assert better[2] == 0


def test_faster_is_worth_more_and_slower_nothing() -> None:
    assert promise(0.5, 0.2, 0.5) > promise(0.5, 0.4, 0.5) > 0
    assert promise(0.9, 0.6, 0.5) < 0
