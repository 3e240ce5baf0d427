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

from functools import lru_cache
from typing import TYPE_CHECKING, Final, overload

import msgspec

from deployopt.core.distributions import binomial_at_least, normal_cdf, normal_quantile
from deployopt.core.roots import rising_root

if TYPE_CHECKING:  # a plan that only asks Tango's bound should not cost a person numpy's import
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

EXACT_BELOW: Final = 10
"""Discordant examples from which Tango's bound stands alone."""

_PRECISION: Final = 1e-10
_TINY: Final = 1e-300


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
    from deployopt.core.melded import melded_cdf

    return max(tango, 1.0 - melded_cdf(margin, b, c, n))


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
def tango_score(b: "Floats", c: "Floats", n: float, loss: float) -> "Floats": ...
def tango_score(
    b: "float | Floats", c: "float | Floats", n: float, loss: float
) -> "float | Floats":
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
    from deployopt.core.melded import melded_cdf

    _require_table(b, c, n)
    if b == n:
        return 1.0
    return rising_root(
        lambda loss: melded_cdf(loss, b, c, n) - confidence, -1.0, 1.0, precision=_PRECISION
    )


def mcnemar_p_value(b: int, c: int) -> float:
    """Return McNemar's exact two-sided p-value; it is reported and never gated on."""
    return min(1.0, 2.0 * binomial_at_least(max(b, c), b + c, 0.5))


def _require_table(b: float, c: float, n: float) -> None:
    if n < 1 or b < 0 or c < 0 or b + c > n:
        raise ValueError(f"{b} lost and {c} gained do not fit in {n} examples")
