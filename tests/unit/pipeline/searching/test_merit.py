"""Merit: what is certifiable and fast counts most; results of all shapes speak for each."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.paired import loss_bounds
from deployopt.pipeline.searching.merit import (
    IMPROVEMENT,
    SCALE,
    Belief,
    Curve,
    Seen,
    allowed_loss,
    believed,
    best_sequence,
    chance,
    fitted,
    improvements,
    worth,
)

SHAPES = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.floats(0.0625, 2, width=32)), min_size=1, max_size=7
)


def seen(lost: int, gained: int, rung: int = 2, examples: int = 500) -> Seen:
    return Seen(
        rung=rung,
        loss=loss_bounds(lost, gained, examples),
        examples=examples,
        discordant=lost + gained,
    )


def losing(loss: float, variance: float = 1e-5) -> Belief:
    return Belief(loss=loss, variance=variance)


def test_what_may_be_lost_is_the_budget_less_the_gates_own_error() -> None:
    assert allowed_loss(0.01, 3306, 0.06) == pytest.approx(
        0.01 - 1.6449 * math.sqrt(0.06 / 3306), abs=1e-6
    )
    assert allowed_loss(0.01, 300, 0.06) < 0


def test_a_smaller_loss_is_likelier_to_be_certified() -> None:
    chances = [chance(losing(loss), 0.01, 3306) for loss in (-0.01, 0.0, 0.01, 0.02)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.9
    assert chances[-1] < 0.05


def test_the_gates_own_error_is_counted() -> None:
    certain = chance(losing(0.0, 0.0), 0.02, 10**9)
    assert chance(losing(0.0, 0.0), 0.02, 600) < certain == pytest.approx(1.0)


def test_what_was_not_taken_back_yet_counts_against_it() -> None:
    assert chance(losing(0.0), 0.01, 3306, 0.01) < chance(losing(0.0), 0.01, 3306)


def test_improvements_are_learned_beside_the_usual_ones() -> None:
    assert improvements([]) == pytest.approx(IMPROVEMENT)
    better = improvements([(seen(40, 0, 0), seen(10, 0, rung=1), seen(5, 0, rung=2))])
    assert better[0] == pytest.approx((IMPROVEMENT[0] + 0.07) / 2)
    assert better[1] == pytest.approx((IMPROVEMENT[1] + 0.01) / 2)
    assert better[2] == 0


def test_the_curve_begins_at_the_usual_and_follows_what_is_seen() -> None:
    assert fitted([], IMPROVEMENT) == Curve()
    good = [(gain, seen(5, 5, examples=5000)) for gain in (0.5, 1.0, 1.5)]
    bad = [(gain, seen(int(200 * gain**2) + 5, 5, examples=5000)) for gain in (0.5, 1.0, 1.5)]
    assert fitted(good, IMPROVEMENT).scale < 0.2 * SCALE
    assert fitted(bad, IMPROVEMENT).scale == pytest.approx(0.04, rel=0.1)
    assert fitted(bad, IMPROVEMENT).variance < Curve().variance


def test_one_noisy_result_moves_what_is_believed_by_its_precision() -> None:
    few = believed(Curve(), 1.0, seen(25, 5, examples=500), IMPROVEMENT)
    many = believed(Curve(), 1.0, seen(250, 50, examples=5000), IMPROVEMENT)
    before = Curve().at(1.0)
    assert before.loss < few.loss < many.loss < 0.04
    assert many.variance < few.variance < before.variance


def test_an_early_result_is_given_credit_for_what_is_to_come() -> None:
    early = believed(Curve(), 1.0, seen(25, 15, rung=0), IMPROVEMENT)
    late = believed(Curve(), 1.0, seen(25, 15, rung=2), IMPROVEMENT)
    assert early.loss < late.loss


def test_the_first_that_fails_ends_the_sequence() -> None:
    assert worth([]) == 0
    assert worth([(0.5, 1.0)]) == pytest.approx(0.5)
    # The fast one is asked only where the slow one passed.
    assert worth([(0.5, 1.0), (0.5, 2.0)]) == pytest.approx(0.5 + 0.25)
    # One that hardly ever passes is in the way of those behind it.
    assert worth([(0.1, 0.5), (0.9, 1.0)]) < worth([(0.9, 1.0)])


def test_one_more_has_to_be_worth_its_while() -> None:
    shapes = [(0.9, 1.0), (0.001, 2.0)]
    assert best_sequence(shapes, 3) == (0, 1)
    assert best_sequence(shapes, 3, least=0.01) == (0,)


@given(shapes=SHAPES, most=st.integers(1, 3))
def test_the_best_sequence_is_worth_at_least_what_any_single_one_is(
    shapes: list[tuple[float, float]], most: int
) -> None:
    chosen = best_sequence(shapes, most)
    assert len(set(chosen)) == len(chosen) <= most
    value = worth([shapes[at] for at in chosen])
    assert value >= max(likely * gain for likely, gain in shapes) - 1e-12
    assert worth([shapes[at] for at in best_sequence(shapes, most + 1)]) >= value - 1e-12
