"""The ratio of two sums over the same units, such as the NLL of two models over documents.

In: one pair a unit, what stands above and what stands below. Out: sum(above) / sum(below) with
one-sided bounds, or a p-value. Refuses (ValueError) fewer than five units, numbers that are not
finite, and a base that is not positive.

Fieller's method (J. R. Statist. Soc. B 16:175, 1954): the ratio is at least m exactly when the mean
over units of d = above - m * below is at least 0, and that is asked of Student's t with G - 1
degrees of freedom, t(m) = sqrt(G) * mean(d) / sd(d). A unit is a cluster: what lies inside one may
depend on itself in any way (Liang and Zeger, 1986). Where the base itself is not told from zero the
bound is infinite.

A t bound is too bold where a few units lose most: by 24 documents so skewed it accepts 9 to 18 % of
models at the margin instead of 5 % (docs/gate.md has the simulation). So the quantile q is widened
as Johnson (J. Am. Stat. Assoc. 73:536, 1978) derived it from the Cornish-Fisher expansion,

    q + (1 + 2 q^2) * skewness of d / (6 sqrt(G)),

but a sample's own skewness will not do, because the sample that missed the heavy tail is the one
that looks symmetric: three times the sum of it and two of its standard errors sqrt(6 / G) is taken,
found by simulation, and never less than 0, so that the correction only widens.
"""

import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.distributions import student_t_cdf, student_t_quantile

LEAST_UNITS: Final = 5
_CAUTION: Final = 3.0
_ERRORS: Final = 2.0
_TINY: Final = 1e-300

Floats = npt.NDArray[np.float64]


class PairedRatio(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio and what its bounds need; variances are those of means over units."""

    ratio: float
    units: int
    base: float
    """The mean of what stands below."""
    variance: float
    """Of d at the ratio itself."""
    covariance: float
    """Of d at the ratio, and the base."""
    base_variance: float
    skewness: float
    """Of d at the ratio, with its small-sample correction."""

    def upper(self, confidence: float = 0.95) -> float:
        """The one-sided upper bound; infinite where the base is not told from zero."""
        return self.ratio + self._reach(confidence, 1.0)

    def lower(self, confidence: float = 0.95) -> float:
        """The one-sided lower bound; minus infinity where the base is not told from zero."""
        return self.ratio - self._reach(confidence, -1.0)

    def p_value(self, margin: float) -> float:
        """Against "the ratio is `margin` or more"; small speaks for a lower one.

        At most alpha exactly when the upper bound at 1 - alpha is at most the margin: it is the
        largest over all ratios from the margin on.
        """
        far = margin - self.ratio
        if self.variance <= 0.0:
            return float(far < 0.0)
        spread = self.variance - 2.0 * far * self.covariance + far * far * self.base_variance
        t = -far * self.base / math.sqrt(max(0.0, spread) + _TINY)
        t = max(t, -self.base / math.sqrt(self.base_variance + _TINY))
        return student_t_cdf(-_narrowed(-t, self._lean(1.0)), self.units - 1)

    def _reach(self, confidence: float, side: float) -> float:
        """How far the bound lies from the ratio: the positive root of Fieller's quadratic."""
        if self.variance <= 0.0:
            return 0.0
        quantile = student_t_quantile(confidence, self.units - 1)
        t = quantile + self._lean(side) * (1.0 + 2.0 * quantile * quantile)
        leading = self.base**2 - t * t * self.base_variance
        if leading <= 0.0:
            return math.inf
        half = t * t * self.covariance * side
        return (math.sqrt(half * half + leading * t * t * self.variance) - half) / leading

    def _lean(self, side: float) -> float:
        """The skewness to be allowed for over 6 sqrt(G), on the side that makes bounds too bold."""
        assumed = side * self.skewness + _ERRORS * math.sqrt(6.0 / self.units)
        return max(0.0, _CAUTION * assumed) / (6.0 * math.sqrt(self.units))


def paired_ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> PairedRatio:
    """Sum(above) / sum(below), one entry a unit in each."""
    tops: Floats = np.asarray(above, dtype=np.float64).ravel()
    bases: Floats = np.asarray(below, dtype=np.float64).ravel()
    units = tops.size
    if units != bases.size or units < LEAST_UNITS:
        raise ValueError(f"a ratio needs at least {LEAST_UNITS} pairs, got {units}/{bases.size}")
    if not bool(np.isfinite(tops).all() and np.isfinite(bases).all()):
        raise ValueError("the sums of a ratio must be finite")
    base = float(bases.mean())
    if base <= 0.0:
        raise ValueError("the base of a ratio must be positive")
    ratio = float(tops.mean()) / base
    apart = tops - ratio * bases
    apart -= apart.mean()
    off = bases - base
    freedom = units * (units - 1)
    return PairedRatio(
        ratio=ratio,
        units=units,
        base=base,
        variance=float(apart @ apart) / freedom,
        covariance=float(apart @ off) / freedom,
        base_variance=float(off @ off) / freedom,
        skewness=_skewness(apart),
    )


def _skewness(centred: Floats) -> float:
    """The usual estimate with its small-sample factor; 0 of what does not vary."""
    n = centred.size
    second = float(np.mean(centred**2))
    third = float(np.mean(centred**3))
    if second**3 <= _TINY:
        return 0.0
    return third / math.sqrt(second**3) * math.sqrt(n * (n - 1)) / (n - 2)


def _narrowed(t: float, lean: float) -> float:
    """The quantile q >= 0 whose widened form q + lean (1 + 2 q^2) is t; below 0 without the square.

    There the p-value is above a half, and only has to go on falling.
    """
    rest = t - lean
    if rest <= 0.0 or lean <= 0.0:
        return rest
    return 2.0 * rest / (1.0 + math.sqrt(1.0 + 8.0 * lean * rest))
