"""Bounds on the accuracy loss: check values, equations, enumerated coverage."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from deployopt.core.paired import (
    agreement_bounds,
    exact_upper,
    loss_bounds,
    loss_p_value,
    loss_upper,
    mcnemar_p_value,
    tango_lower,
    tango_score,
    tango_upper,
)


@st.composite
def tables(draw: st.DrawFn, most: int = 400) -> tuple[int, int, int]:
    b, c = draw(st.integers(0, most)), draw(st.integers(0, most))
    return b, c, draw(st.integers(max(1, b + c), 5_000))


@pytest.mark.parametrize(
    ("b", "c", "n", "points"),
    [(56, 51, 2_500, 0.89), (130, 91, 2_500, 2.55), (10, 10, 1_000, 0.78), (0, 0, 300, 0.89)],
)
def test_tango_check_values(b: int, c: int, n: int, points: float) -> None:
    assert 100 * tango_upper(b, c, n) == pytest.approx(points, abs=0.005)


@given(tables())
def test_tango_solves_its_equation(table: tuple[int, int, int]) -> None:
    b, c, n = table
    upper = tango_upper(b, c, n)
    assert -1.0 <= (b - c) / n <= upper <= 1.0
    if upper < 1.0 - 1e-9:
        below, above = upper - 1e-7, min(upper + 1e-7, 1.0)
        assert tango_score(b, c, n, below) >= -1.6448536269514722 >= tango_score(b, c, n, above)


@given(tables())
def test_exchanging_the_models_exchanges_the_bounds(table: tuple[int, int, int]) -> None:
    b, c, n = table
    here, there = loss_bounds(b, c, n), loss_bounds(c, b, n)
    assert here.lower == -there.upper
    assert here.lower <= here.estimate <= here.upper
    assert tango_lower(b, c, n) == -tango_upper(c, b, n)
    assert tango_score(b, c, n, 0.01) == pytest.approx(-tango_score(c, b, n, -0.01), rel=1e-6)


@given(tables())
def test_another_loss_is_never_better(table: tuple[int, int, int]) -> None:
    b, c, n = table
    if b + c < n:
        assert tango_upper(b + 1, c, n) >= tango_upper(b, c, n) - 1e-12


@given(st.integers(0, 60), st.integers(0, 60), st.integers(120, 3_000))
def test_the_same_counts_among_more_examples_bound_closer(b: int, c: int, n: int) -> None:
    if b >= c:
        assert loss_upper(b, c, 2 * n) <= loss_upper(b, c, n)


def test_whole_arrays_of_tables() -> None:
    b, c = np.array([56.0, 0.0, 130.0]), np.array([51.0, 0.0, 91.0])
    expected = [tango_score(x, y, 2_500, 0.01) for x, y in zip(b, c, strict=True)]
    assert tango_score(b, c, 2_500, 0.01) == pytest.approx(expected)


@pytest.mark.parametrize(("b", "n"), [(0, 300), (3, 300), (9, 5_000), (5, 5), (4, 20)])
def test_exact_without_gains_is_clopper_pearson(b: int, n: int) -> None:
    expected = stats.beta.ppf(0.95, b + 1, n - b) if b < n else 1.0
    assert exact_upper(b, 0, n) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("b", "c", "n"),
    [(3, 3, 300), (0, 9, 300), (5, 4, 3_000), (1, 8, 12), (2, 2, 4), (1, 1, 100_000)],
)
def test_exact_against_quadrature(b: int, c: int, n: int) -> None:
    """P(X - Y <= bound) = 0.95, integrated over Y for a Dirichlet pair."""
    bound = exact_upper(b, c, n)
    rest = n - b - c

    def within(y: float) -> float:
        if y + bound <= 0.0:
            return 0.0
        density = stats.beta.pdf(y, c, n - c + 1)
        if rest == 0:
            return float(density * (1.0 - y <= y + bound))
        return float(density * stats.beta.cdf(min(1.0, (y + bound) / (1.0 - y)), b + 1, rest))

    cut = [max(0.0, -bound), 0.5 * (1.0 - bound), min(1.0, (c + 40.0) / n)]
    edges = sorted({0.0, *(min(1.0, max(0.0, x)) for x in cut), 1.0})
    total = sum(
        integrate.quad(within, low, high, limit=400)[0] for low, high in itertools.pairwise(edges)
    )
    assert total == pytest.approx(0.95, abs=1e-5)


def test_few_discordant_take_the_more_cautious_bound() -> None:
    assert loss_upper(0, 0, 300) == exact_upper(0, 0, 300) > tango_upper(0, 0, 300)
    assert loss_upper(0, 9, 300) >= max(tango_upper(0, 9, 300), exact_upper(0, 9, 300))
    assert loss_upper(5, 5, 300) == tango_upper(5, 5, 300)


@pytest.mark.parametrize("n", [60, 300])
def test_coverage_by_enumeration(n: int) -> None:
    """On losses the rule keeps its level, where Tango's bound alone does not."""
    size = 40
    b, c = np.arange(size)[:, None], np.arange(size)[None, :]
    rule, tango = np.full((size, size), 2.0), np.full((size, size), 2.0)
    for i in range(size):
        for j in range(min(size, n - i + 1)):
            rule[i, j], tango[i, j] = loss_upper(i, j, n), tango_upper(i, j, n)
    worst = {"rule": 0.0, "tango": 0.0}
    for lost in (0.5, 1.5, 3.0, 4.5, 6.0, 9.5, 12.0):
        for gained in (x for x in (0.0, 0.25, 1.0, 3.0, 6.0, 8.0) if x <= lost):
            chance = stats.binom.pmf(b, n, lost / n) * stats.binom.pmf(
                c, n - b, gained / (n - lost)
            )
            truth = (lost - gained) / n - 1e-12
            for name, bounds in (("rule", rule), ("tango", tango)):
                worst[name] = max(worst[name], float(chance[bounds < truth].sum()))
    assert worst["rule"] <= 0.056
    assert worst["tango"] > worst["rule"]


@given(tables(most=12), st.floats(0.001, 0.2), st.sampled_from([0.9, 0.95, 0.99]))
def test_p_value_and_bound_agree(
    table: tuple[int, int, int], margin: float, confidence: float
) -> None:
    b, c, n = table
    upper = loss_upper(b, c, n, confidence)
    if abs(upper - margin) > 1e-8:
        assert (loss_p_value(b, c, n, margin) <= 1 - confidence) == (upper < margin)


def test_agreement_counts_every_disagreement_as_a_loss() -> None:
    assert agreement_bounds(12, 900) == loss_bounds(12, 0, 900)
    assert agreement_bounds(0, 299).upper <= 0.01 < agreement_bounds(0, 298).upper


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_against_scipy(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_p_value(b, c) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("b", "c", "n"), [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_tables_are_refused(b: int, c: int, n: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        tango_upper(b, c, n)


def test_tango_is_quick() -> None:
    """Well under a millisecond a bound; the best of many, so that a busy machine is no matter."""
    best = 1.0
    for i in range(50):
        start = time.perf_counter_ns()
        tango_upper(40 + i, 30, 3_000)
        best = min(best, (time.perf_counter_ns() - start) * 1e-9)
    assert best < 1e-3
