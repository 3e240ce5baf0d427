"""Latency budgets at a quantile: check values, binomial tails, rounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deployopt.core.quantiles import (
    judge_quantile,
    judge_rounds,
    least_requests,
    least_rounds,
    quantile_bounds,
    requests_needed,
)
from deployopt.core.standing import Standing

QUANTILES = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@pytest.mark.parametrize(
    ("q", "at_95", "at_99"),
    [(0.9, 29, 44), (0.95, 59, 90), (0.99, 299, 459), (0.999, 2_995, 4_603)],
)
def test_least_requests(q: float, at_95: int, at_99: int) -> None:
    assert least_requests(q, 0.95) == at_95
    assert least_requests(q, 0.99) == at_99
    assert judge_quantile(0, at_95, q) is Standing.INSIDE
    assert judge_quantile(0, at_95 - 1, q) is Standing.UNSETTLED
    assert judge_quantile(1, at_95, q) is Standing.UNSETTLED


def test_least_rounds_is_the_sign_test() -> None:
    assert least_rounds(0.95) == 5
    assert least_rounds(0.99) == 7


def test_too_few_requests_settle_nothing_even_when_all_are_over() -> None:
    assert judge_quantile(298, 298, 0.99) is Standing.UNSETTLED
    assert judge_quantile(299, 299, 0.99) is Standing.OUTSIDE


@given(st.integers(1, 3_000), st.data(), QUANTILES, st.sampled_from([0.95, 0.99]))
def test_judged_by_binomial_tails(n: int, data: st.DataObject, q: float, confidence: float) -> None:
    over = data.draw(st.integers(0, n))
    standing = judge_quantile(over, n, q, confidence)
    if n < least_requests(q, confidence):
        assert standing is Standing.UNSETTLED
        return
    inside = stats.binom.cdf(over, n, 1 - q) <= 1 - confidence
    outside = stats.binom.sf(over - 1, n, 1 - q) <= 1 - confidence
    expected = Standing.INSIDE if inside else Standing.OUTSIDE if outside else Standing.UNSETTLED
    assert standing is expected


@given(st.integers(60, 3_000), st.data(), QUANTILES)
def test_more_over_budget_is_never_better(n: int, data: st.DataObject, q: float) -> None:
    order = [Standing.INSIDE, Standing.UNSETTLED, Standing.OUTSIDE]
    over = data.draw(st.integers(0, n - 1))
    fewer, more = judge_quantile(over, n, q), judge_quantile(over + 1, n, q)
    assert order.index(fewer) <= order.index(more)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=700),
    st.integers(0, 401),
    QUANTILES,
)
def test_bounds_agree_with_the_judgement(samples: list[int], budget: int, q: float) -> None:
    bounds = quantile_bounds(samples, q)
    over = sum(sample > budget for sample in samples)
    standing = judge_quantile(over, len(samples), q)
    assert (bounds.upper is not None and bounds.upper <= budget) == (standing is Standing.INSIDE)
    assert (bounds.lower is not None and bounds.lower > budget) == (standing is Standing.OUTSIDE)


@given(st.integers(1, 2_000), QUANTILES)
def test_bounds_bracket_the_estimate_or_are_missing(n: int, q: float) -> None:
    bounds = quantile_bounds(np.arange(n)[::-1], q)
    if n < least_requests(q):
        assert (bounds.estimate, bounds.lower, bounds.upper) == (None, None, None)
        return
    assert bounds.estimate is not None
    assert bounds.upper is not None
    assert bounds.estimate <= bounds.upper
    assert bounds.lower is None or bounds.lower <= bounds.estimate


def test_estimate_is_an_order_statistic() -> None:
    assert quantile_bounds(range(1, 1_001), 0.99).estimate == 990
    assert quantile_bounds(range(1, 101), 0.9).estimate == 90


def test_bounds_cover() -> None:
    random = np.random.default_rng(5)
    truth = stats.expon.ppf(0.95)
    misses = [0, 0]
    for _ in range(1_500):
        bounds = quantile_bounds(random.exponential(size=200), 0.95)
        assert bounds.upper is not None
        assert bounds.lower is not None
        misses[0] += bounds.upper < truth
        misses[1] += bounds.lower > truth
    assert max(misses) <= 1_500 * 0.05 + 3 * (1_500 * 0.05 * 0.95) ** 0.5


def test_every_round_must_agree() -> None:
    requests = [100] * 5
    assert judge_rounds([0, 1, 0, 2, 0], requests, 0.95).standing is Standing.INSIDE
    one_bad = judge_rounds([0, 0, 0, 0, 6], requests, 0.95)
    assert one_bad.pooled is Standing.INSIDE
    assert one_bad.rounds_inside == 4
    assert one_bad.standing is Standing.UNSETTLED
    assert judge_rounds([9, 12, 8, 6, 100], requests, 0.95).standing is Standing.OUTSIDE
    one_good = judge_rounds([50, 50, 50, 50, 5], requests, 0.95)
    assert one_good.pooled is Standing.OUTSIDE
    assert one_good.standing is Standing.UNSETTLED


def test_four_rounds_are_not_enough() -> None:
    four = judge_rounds([0] * 4, [100] * 4, 0.9)
    assert four.pooled is Standing.INSIDE
    assert four.standing is Standing.UNSETTLED
    assert judge_rounds([], [], 0.9).standing is Standing.UNSETTLED


def test_rounds_together_may_settle_what_none_could_alone() -> None:
    assert judge_quantile(0, 60, 0.99) is Standing.UNSETTLED
    assert judge_rounds([0] * 5, [60] * 5, 0.99).standing is Standing.INSIDE


@given(st.integers(0, 1_500), st.data(), QUANTILES)
def test_the_requests_asked_for_settle_it(n: int, data: st.DataObject, q: float) -> None:
    over = data.draw(st.integers(0, n))
    further = requests_needed(over, n, q)
    if judge_quantile(over, n, q) is not Standing.UNSETTLED:
        assert further == 0
    elif further is not None and n:
        total = n + further
        expected = over / n * total
        settled = {judge_quantile(int(expected), total, q)}
        settled.add(judge_quantile(min(total, int(expected) + 1), total, q))
        assert settled != {Standing.UNSETTLED}


def test_requests_needed_at_the_budget_itself_is_no_number() -> None:
    assert requests_needed(5, 100, 0.95) is None
    assert requests_needed(0, 100, 0.99) == 199
    assert requests_needed(0, 0, 0.99) == 299


@pytest.mark.parametrize(("over", "n", "q"), [(-1, 9, 0.9), (10, 9, 0.9), (0, 9, 1.0)])
def test_impossible_counts_are_refused(over: int, n: int, q: float) -> None:
    with pytest.raises(ValueError):
        judge_quantile(over, n, q)


def test_empty_rounds_and_wild_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="without requests"):
        judge_rounds([0], [0], 0.9)
    with pytest.raises(ValueError, match="finite"):
        quantile_bounds([1.0, float("nan")], 0.5)
