"""The accuracy loss of a candidate against its reference, right or wrong on the same examples.

In: n examples, of which the reference alone was right on b and the candidate alone on c. Out:
one-sided bounds on the loss d = (b - c) / n as a share of one, or a p-value. Refuses (ValueError)
counts that do not fit together.

The bounds invert Tango's score test (Statistics in Medicine 17:891, 1998). With fewer than ten
discordant examples, where its normal approximation is thin, the more cautious of Tango's bound and
an exact one is taken. The exact one is the melded bound of Fay and Lumbard (Statistics in Medicine
40:1147, 2021), the interval that agrees with the exact sign test: the quantile of X - Y where
(X, Y, rest) is Dirichlet(b + 1, c, n - b - c). For c = 0 it is Clopper and Pearson's bound on b of
n, and for b = c = 0 the "rule of three". Its coverage is conjectured by its authors, and enumerated
in this project's tests.
"""

import math
from functools import lru_cache
from typing import Final, overload

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.distributions import binomial_at_least, normal_cdf, normal_quantile
from deployopt.core.roots import rising_root

EXACT_BELOW: Final = 10
"""Discordant examples from which Tango's bound stands alone."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)
_PRECISION: Final = 1e-10
_TINY: Final = 1e-300

Floats = npt.NDArray[np.float64]


class LossBounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mean loss with its one-sided bounds, each at the confidence asked for."""

    estimate: float
    lower: float
    upper: float


def loss_bounds(b: int, c: int, n: int, confidence: float = 0.95) -> LossBounds:
    """Return the loss (b - c) / n with the bounds that the gate goes by."""
    return LossBounds(
        estimate=(b - c) / n,
        lower=-loss_upper(c, b, n, confidence),
        upper=loss_upper(b, c, n, confidence),
    )


def agreement_bounds(disagreements: int, n: int, confidence: float = 0.95) -> LossBounds:
    """Return bounds on disagreement with the reference, where no example has a label.

    The reference is taken as right everywhere, so every disagreement is a loss.
    """
    return loss_bounds(disagreements, 0, n, confidence)


@lru_cache(maxsize=4096)
def loss_upper(b: int, c: int, n: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound on the loss: Tango's, or the larger of it and the exact."""
    tango = tango_upper(b, c, n, confidence)
    if b + c >= EXACT_BELOW:
        return tango
    return max(tango, exact_upper(b, c, n, confidence))


@lru_cache(maxsize=4096)
def loss_p_value(b: int, c: int, n: int, margin: float) -> float:
    """Return the p-value against "the loss is at least `margin`"; small speaks for the candidate.

    At most alpha exactly when `loss_upper` at 1 - alpha is at most the margin.
    """
    _require_table(b, c, n)
    tango = normal_cdf(tango_score(b, c, n, margin))
    if b + c >= EXACT_BELOW:
        return tango
    return max(tango, 1.0 - _melded_cdf(margin, b, c, n))


def tango_upper(b: float, c: float, n: float, confidence: float = 0.95) -> float:
    """Return Tango's one-sided upper bound on the loss; counts may be expected, not whole."""
    _require_table(b, c, n)
    if b == n:
        return 1.0
    z = normal_quantile(confidence)
    return rising_root(
        lambda loss: -z - tango_score(b, c, n, loss), -1.0, 1.0, precision=_PRECISION
    )


def tango_lower(b: float, c: float, n: float, confidence: float = 0.95) -> float:
    """Return Tango's one-sided lower bound on the loss: the roles of b and c exchanged."""
    return -tango_upper(c, b, n, confidence)


@overload
def tango_score(b: float, c: float, n: float, loss: float) -> float: ...
@overload
def tango_score(b: Floats, c: Floats, n: float, loss: float) -> Floats: ...
def tango_score(b: float | Floats, c: float | Floats, n: float, loss: float) -> float | Floats:
    """Return the score statistic of "the loss is `loss`"; it falls as `loss` grows.

    Takes whole arrays of tables too. Without variance under the hypothesis the sign alone counts.
    """
    linear = (2.0 * n - b + c) * loss - b - c
    constant = -c * loss * (1.0 - loss)
    inner = linear * linear - 8.0 * n * constant
    wins = ((inner * (inner > 0.0)) ** 0.5 - linear) / (4.0 * n)
    variance = n * (2.0 * wins + loss * (1.0 - loss))
    return (b - c - n * loss) / (variance * (variance > 0.0) + _TINY) ** 0.5


def exact_upper(b: int, c: int, n: int, confidence: float = 0.95) -> float:
    """Return the melded one-sided upper bound on the loss (module docstring)."""
    _require_table(b, c, n)
    if b == n:
        return 1.0
    return rising_root(
        lambda loss: _melded_cdf(loss, b, c, n) - confidence, -1.0, 1.0, precision=_PRECISION
    )


def mcnemar_p_value(b: int, c: int) -> float:
    """Return McNemar's exact two-sided p-value; it is reported and never gated on."""
    return min(1.0, 2.0 * binomial_at_least(max(b, c), b + c, 0.5))


def _melded_cdf(loss: float, b: int, c: int, n: int) -> float:
    """Return P(X - Y <= loss) for (X, Y, rest) ~ Dirichlet(b + 1, c, n - b - c).

    X - Y is S * u with S ~ Beta(b + c + 1, n - b - c), the discordance, and (1 + u) / 2 ~
    Beta(b + 1, c), the share of it that is loss. Where |u| < |loss| the answer does not depend on
    S; over the rest of u the integral is by Gauss and Legendre.
    """
    if c == 0:
        return float(_discordance_cdf(np.array([loss]), b, n)[0])
    middle = 0.5 * (1.0 + loss)
    start, width = (middle, 1.0 - middle) if loss >= 0.0 else (0.0, middle)
    share = start + 0.5 * width * (_NODES + 1.0)
    scale = math.exp(math.lgamma(b + c + 1) - math.lgamma(b + 1) - math.lgamma(c))
    density = scale * share**b * (1.0 - share) ** (c - 1)
    within = _discordance_cdf(loss / (2.0 * share - 1.0), b + c, n)
    part = 0.5 * width * float(np.sum(_WEIGHTS * density * within))
    return binomial_at_least(b + 1, b + c, middle) + math.copysign(part, loss)


def _discordance_cdf(level: Floats, discordant: int, n: int) -> Floats:
    """Return P(S <= level) for S ~ Beta(discordant + 1, n - discordant), by its binomial sum."""
    inside = np.clip(level, 0.0, 1.0)
    term = (1.0 - inside) ** n
    odds = inside / np.where(inside < 1.0, 1.0 - inside, 1.0)
    fewer = term.copy()
    for k in range(discordant):
        term = term * odds * ((n - k) / (k + 1.0))
        fewer += term
    return np.where(inside < 1.0, 1.0 - fewer, 1.0)


def _require_table(b: float, c: float, n: float) -> None:
    if n < 1 or b < 0 or c < 0 or b + c > n:
        raise ValueError(f"{b} lost and {c} gained do not fit in {n} examples")
