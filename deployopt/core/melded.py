"""The distribution behind the exact bound on a paired loss, by quadrature.

In: a loss and a table as core/paired.py has it. Out: a probability. Apart from it, since it is the
one part of a plan's statistics that needs numpy, and only for a few discordant examples.
"""

import math

import numpy as np
import numpy.typing as npt

from deployopt.core.distributions import binomial_at_least

Floats = npt.NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)


def melded_cdf(loss: float, b: int, c: int, n: int) -> float:
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
