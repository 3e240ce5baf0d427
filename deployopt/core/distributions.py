"""Normal, Student t and binomial probabilities, and exact bounds on a proportion.

In: plain numbers. Out: plain numbers. Refuses (ValueError) arguments outside their domain.
The device installs no scipy, so the incomplete beta function is written out here; the tests hold
it against scipy. Both tails are computed directly, so small probabilities keep their digits.
"""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from deployopt.core.roots import rising_root

_STANDARD: Final = NormalDist()
_SMALLEST: Final = 1e-300
_EPSILON: Final = 1e-15
_TERMS: Final = 200_000


def normal_quantile(probability: float) -> float:
    """Return the z below which a standard normal value falls with this probability."""
    return _STANDARD.inv_cdf(probability)


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal value is at most z, exact in both tails."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def beta_tails(x: float, a: float, b: float) -> tuple[float, float]:
    """Return I_x(a, b), the regularised incomplete beta function, and its complement.

    Continued fraction of DLMF 8.17.22, evaluated on the side where it converges fast.
    """
    if a <= 0.0 or b <= 0.0:
        raise ValueError(f"beta parameters must be positive, got {a} and {b}")
    if x <= 0.0:
        return 0.0, 1.0
    if x >= 1.0:
        return 1.0, 0.0
    if x < (a + 1.0) / (a + b + 2.0):
        lower = _beta_series(x, a, b)
        return lower, 1.0 - lower
    upper = _beta_series(1.0 - x, b, a)
    return 1.0 - upper, upper


def _beta_series(x: float, a: float, b: float) -> float:
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    return min(1.0, front * _beta_fraction(x, a, b))


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Evaluate the continued fraction by Lentz's method."""
    c = 1.0
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for step in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + step * d)
            c = _away_from_zero(1.0 + step / c)
            fraction *= c * d
        if abs(c * d - 1.0) < _EPSILON:
            return fraction
    raise ArithmeticError(f"incomplete beta did not converge at x={x}, a={a}, b={b}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST


def student_t_cdf(t: float, degrees: float) -> float:
    """Return the probability that a Student t value with these degrees of freedom is at most t."""
    if degrees <= 0.0:
        raise ValueError(f"degrees of freedom must be positive, got {degrees}")
    square = t * t
    if square <= degrees:
        _, outside = beta_tails(square / (degrees + square), 0.5, 0.5 * degrees)
    else:
        outside, _ = beta_tails(degrees / (degrees + square), 0.5 * degrees, 0.5)
    return 0.5 * outside if t < 0.0 else 1.0 - 0.5 * outside


@lru_cache(maxsize=1024)
def student_t_quantile(probability: float, degrees: float) -> float:
    """Return the t below which a Student t value falls with this probability."""
    _require_probability(probability)
    if probability > 0.5:  # noqa: PLR2004
        return -student_t_quantile(1.0 - probability, degrees)
    low = -1.0
    while student_t_cdf(low, degrees) > probability:
        low *= 2.0
    return rising_root(lambda t: student_t_cdf(t, degrees) - probability, low, 0.0)


def binomial_at_most(k: int, n: int, p: float) -> float:
    """Return P(X <= k) for X ~ Binomial(n, p)."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return beta_tails(p, k + 1, n - k)[1]


def binomial_at_least(k: int, n: int, p: float) -> float:
    """Return P(X >= k) for X ~ Binomial(n, p)."""
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    return beta_tails(p, k, n - k + 1)[0]


def proportion_upper(k: int, n: int, confidence: float = 0.95) -> float:
    """Return the one-sided exact upper bound (Clopper and Pearson, 1934) on k of n."""
    _require_counts(k, n)
    _require_probability(confidence)
    if k == n:
        return 1.0
    alpha = 1.0 - confidence
    return rising_root(lambda p: alpha - binomial_at_most(k, n, p), k / n, 1.0)


def proportion_lower(k: int, n: int, confidence: float = 0.95) -> float:
    """Return the one-sided exact lower bound (Clopper and Pearson, 1934) on k of n."""
    _require_counts(k, n)
    _require_probability(confidence)
    if k == 0:
        return 0.0
    alpha = 1.0 - confidence
    return rising_root(lambda p: binomial_at_least(k, n, p) - alpha, 0.0, k / n)


def _require_counts(k: int, n: int) -> None:
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"a count must lie between 0 and its total, got {k} of {n}")


def _require_probability(probability: float) -> None:
    if not 0.0 < probability < 1.0:
        raise ValueError(f"a probability must lie between 0 and 1, got {probability}")
