"""Faster or slower from interleaved rounds, look by look."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deployopt.core.relative import LOOKS, judge_relative
from deployopt.core.standing import Standing


def _rounds(mean: float, deviation: float, count: int) -> list[float]:
    """Return log ratios with exactly this mean and sample deviation."""
    values = np.random.default_rng(9).normal(size=count)
    values = (values - values.mean()) / values.std(ddof=1)
    rounds: list[float] = (mean + deviation * values).tolist()
    return rounds


def test_looks_and_levels() -> None:
    assert [(look.rounds, look.level) for look in LOOKS] == [
        (12, 0.00011),
        (24, 0.00553),
        (48, 0.0481),
    ]


@pytest.mark.parametrize(("count", "level"), [(12, 0.00011), (24, 0.00553), (48, 0.0481)])
def test_bounds_at_a_look(count: int, level: float) -> None:
    judged = judge_relative(_rounds(-0.001, 0.06, count))
    error = 0.06 / math.sqrt(count)
    spent = stats.t.ppf(1 - level, count - 1) * error
    plain = stats.t.ppf(0.95, count - 1) * error
    assert judged.standing is Standing.UNSETTLED
    assert judged.rounds == count
    assert judged.ratio == pytest.approx(math.exp(-0.001))
    assert judged.lower == pytest.approx(math.exp(-0.001 - spent), rel=1e-7)
    assert judged.upper == pytest.approx(math.exp(-0.001 + spent), rel=1e-7)
    assert judged.low == pytest.approx(math.exp(-0.001 - plain), rel=1e-7)
    assert judged.high == pytest.approx(math.exp(-0.001 + plain), rel=1e-7)


def test_twice_as_fast_is_seen_at_the_first_look() -> None:
    judged = judge_relative(_rounds(math.log(0.5), 0.06, 12))
    assert judged.standing is Standing.INSIDE
    assert judged.next_look is None


def test_slower_is_seen_too() -> None:
    assert judge_relative(_rounds(math.log(1.3), 0.06, 12)).standing is Standing.OUTSIDE


def test_looks_only_where_planned() -> None:
    rounds = _rounds(-0.03, 0.02, 11)
    before = judge_relative(rounds)
    assert before.standing is Standing.UNSETTLED
    assert (before.next_look, before.upper) == (12, None)
    unsettled = _rounds(-0.02, 0.06, 24)
    between = judge_relative(unsettled[:17])
    assert (between.rounds, between.next_look) == (12, 24)


def test_the_end_is_forty_eight() -> None:
    rounds = _rounds(0.0, 0.06, 48)
    judged = judge_relative(rounds)
    assert (judged.standing, judged.next_look) == (Standing.UNSETTLED, None)
    assert judge_relative([*rounds, *[-1.0] * 50]) == judged


def test_what_is_settled_stays_settled() -> None:
    first = judge_relative(_rounds(math.log(0.5), 0.06, 12))
    assert judge_relative(_rounds(math.log(0.5), 0.06, 12) + [5.0] * 36) == first


def test_a_margin_moves_the_limit() -> None:
    rounds = _rounds(0.0, 0.03, 48)
    assert judge_relative(rounds).standing is Standing.UNSETTLED
    assert judge_relative(rounds, 0.05).standing is Standing.INSIDE
    assert judge_relative(rounds, -0.05).standing is Standing.OUTSIDE


def test_without_rounds() -> None:
    judged = judge_relative([])
    assert (judged.rounds, judged.ratio, judged.next_look) == (0, None, 12)


@given(st.floats(-0.3, 0.3), st.floats(0.001, 0.2), st.sampled_from([12, 24, 48]))
def test_exchanging_the_arms_exchanges_the_verdict(mean: float, spread: float, count: int) -> None:
    rounds = _rounds(mean, spread, count)
    here, there = judge_relative(rounds), judge_relative([-x for x in rounds])
    mirror = {Standing.INSIDE: Standing.OUTSIDE, Standing.OUTSIDE: Standing.INSIDE}
    assert there.standing is mirror.get(here.standing, Standing.UNSETTLED)
    assert here.upper is not None
    assert there.lower is not None
    assert here.upper == pytest.approx(1.0 / there.lower)


def test_wild_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        judge_relative([math.nan] * 12)
    with pytest.raises(ValueError, match="margin"):
        judge_relative([0.0] * 12, -1.0)
