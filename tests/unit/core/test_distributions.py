"""Probabilities and quantiles, held against scipy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from deployopt.core.distributions import (
    beta_tails,
    binomial_at_least,
    binomial_at_most,
    normal_cdf,
    normal_quantile,
    proportion_lower,
    proportion_upper,
    student_t_cdf,
    student_t_quantile,
)

PROBABILITIES = [1e-9, 0.00011, 0.00553, 0.0481, 0.05, 0.3, 0.5, 0.7, 0.95, 0.9519, 0.99989]
DEGREES = [1, 2, 4, 11, 23, 47, 2_999, 1_000_000]


@pytest.mark.parametrize("p", PROBABILITIES)
def test_normal_against_scipy(p: float) -> None:
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-12)
    assert normal_cdf(normal_quantile(p)) == pytest.approx(p, rel=1e-10)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("p", PROBABILITIES)
def test_student_t_against_scipy(p: float, degrees: int) -> None:
    t = student_t_quantile(p, degrees)
    assert t == pytest.approx(stats.t.ppf(p, degrees), rel=1e-7, abs=1e-9)
    assert student_t_cdf(t, degrees) == pytest.approx(p, rel=1e-8)


@given(st.floats(0.0, 1.0), st.floats(0.5, 1e4), st.floats(0.5, 1e4))
def test_beta_against_scipy(x: float, a: float, b: float) -> None:
    lower, upper = beta_tails(x, a, b)
    assert lower == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-14)
    assert upper == pytest.approx(special.betaincc(a, b, x), rel=1e-8, abs=1e-14)


@given(st.integers(1, 1_000_000), st.floats(-8.0, 8.0), st.floats(1e-4, 1 - 1e-4))
def test_binomial_against_scipy(n: int, sigmas: float, p: float) -> None:
    k = min(n, max(0, round(n * p + sigmas * math.sqrt(n * p * (1.0 - p)))))
    assert binomial_at_most(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-6, abs=1e-15)
    at_least = stats.binom.sf(k - 1, n, p)
    assert binomial_at_least(k, n, p) == pytest.approx(at_least, rel=1e-6, abs=1e-15)


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0.0, 1.0))
def test_binomial_against_its_sum(k: int, extra: int, p: float) -> None:
    n = k + extra
    total = math.fsum(math.comb(n, i) * p**i * (1.0 - p) ** (n - i) for i in range(k + 1))
    assert binomial_at_most(k, n, p) == pytest.approx(total, abs=1e-12)
    assert binomial_at_least(k + 1, n, p) == pytest.approx(1.0 - total, abs=1e-12)


def test_small_tails_keep_their_digits() -> None:
    assert binomial_at_most(0, 1_000, 0.5) == pytest.approx(2.0**-1000, rel=1e-9)
    assert binomial_at_least(1_000, 1_000, 0.5) == pytest.approx(2.0**-1000, rel=1e-9)


@given(st.integers(1, 5_000), st.data(), st.sampled_from([0.9, 0.95, 0.99]))
def test_proportion_bounds_against_scipy(n: int, data: st.DataObject, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    upper, lower = proportion_upper(k, n, confidence), proportion_lower(k, n, confidence)
    assert upper == pytest.approx(stats.beta.ppf(confidence, k + 1, n - k) if k < n else 1.0)
    assert lower == pytest.approx(stats.beta.ppf(1 - confidence, k, n - k + 1) if k else 0.0)
    assert lower == pytest.approx(1.0 - proportion_upper(n - k, n, confidence))
    assert lower <= k / n <= upper


def test_the_rule_of_three() -> None:
    assert proportion_upper(0, 300) == pytest.approx(1.0 - 0.05 ** (1 / 300))
    assert proportion_upper(0, 1_000_000) == pytest.approx(2.9957e-6, rel=1e-4)


def test_proportion_upper_covers() -> None:
    n = 40
    for p in (0.01, 0.05, 0.2, 0.5):
        covered = sum(stats.binom.pmf(k, n, p) for k in range(n + 1) if proportion_upper(k, n) >= p)
        assert covered >= 0.95


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="count"):
        proportion_upper(k, n)
    with pytest.raises(ValueError, match="count"):
        proportion_lower(k, n)


def test_arguments_outside_their_domain_are_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        student_t_quantile(1.0, 5)
    with pytest.raises(ValueError, match="degrees"):
        student_t_cdf(1.0, 0)
    with pytest.raises(ValueError, match="positive"):
        beta_tails(0.5, 0.0, 1.0)
