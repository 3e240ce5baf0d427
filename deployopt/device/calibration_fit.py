"""From times of graphs to the rates of the additive model, by non-negative least squares.

In: what each graph has to do and how long it took; rates that the probes suggest. Out: a Pace, with
a band from whole models that were each left out of the fit in turn. Residuals are relative, and a
weak pull (a ridge) toward the suggested rates decides what the graphs leave open.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.additive import PACES, Work
from deployopt.core.calibration import Pace
from deployopt.core.samples import Array
from deployopt.core.units import Bandwidth, Compute, Duration

FIELDS: Final = (*PACES, "overhead")
_RIDGE: Final = 0.02
"""A rate off by its own size weighs as much as one graph off by 14 %."""
_ROUNDS: Final = 3
_WHOLE: Final = 2.0
_SWEEPS: Final = 2000
_SETTLED: Final = 1e-6
_LEAST, _MOST = 0.1, 10.0
"""How far a cost may go in one round."""
_Z: Final = 1.2816
"""Standard deviations on either side that hold four cases in five."""
_BAND_LEAST: Final = 1.15
"""Nothing so simple is better than that, whatever a few models say."""
_BAND_MOST: Final = 50.0
_DIGITS: Final = 3


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A graph: its work, its seconds, and whether it is a whole model."""

    work: Work
    seconds: float
    whole: bool
    base_s: float = 0.0
    """Seconds of it that another pace accounts for."""


def fit_pace(points: Sequence[Point], suggested: Mapping[str, float]) -> Pace:
    """The rates; `suggested` by field in operations or bytes a second, `overhead` in seconds.

    Raises:
        ValueError: no graph was measured.
    """
    if not points:
        raise ValueError("nothing was measured")
    costs = _costs(points, suggested)
    return _pace(costs, band=_band(points, suggested), points=len(points))


def _costs(points: Sequence[Point], suggested: Mapping[str, float]) -> dict[str, float]:
    """Seconds per operation, byte or operator.

    Each round starts from the last one's, so that a suggestion that was far off fades.
    """
    costs = {n: s if n == "overhead" else 1 / s for n, s in suggested.items()}
    # Residuals are relative; a whole model's count more, as whole models are what is predicted.
    scales = [(_WHOLE if p.whole else 1.0) / p.seconds for p in points]
    aims = np.array([(p.seconds - p.base_s) * s for p, s in zip(points, scales, strict=True)])
    for _ in range(_ROUNDS):
        rows = [
            [p.work.get(name, 0.0) * costs[name] * s for name in FIELDS]
            for p, s in zip(points, scales, strict=True)
        ]
        factors = least_squares(np.array(rows), aims)
        costs = {name: costs[name] * float(f) for name, f in zip(FIELDS, factors, strict=True)}
    return costs


def least_squares(rows: Array, aims: Array) -> Array:
    """Factors f in bounds that make `rows @ f` like `aims`, pulled toward 1; one at a time."""
    curvature = rows.T @ rows + _RIDGE * np.eye(rows.shape[1])
    slope = rows.T @ aims + _RIDGE
    factors = np.ones(rows.shape[1])
    for _ in range(_SWEEPS):
        before = factors.copy()
        for k in range(factors.size):
            rest = slope[k] - curvature[k] @ factors + curvature[k, k] * factors[k]
            factors[k] = min(max(rest / curvature[k, k], _LEAST), _MOST)
        if float(np.abs(factors - before).max()) < _SETTLED:
            break
    return factors


def _band(points: Sequence[Point], suggested: Mapping[str, float]) -> float:
    """From the errors on whole models, each predicted by a fit without it."""
    errors = []
    for at, point in enumerate(points):
        if point.whole:
            costs = _costs([*points[:at], *points[at + 1 :]], suggested)
            found = point.base_s + sum(point.work.get(name, 0.0) * costs[name] for name in FIELDS)
            errors.append(math.log(found / point.seconds))
    if not errors:
        return _BAND_MOST
    square = sum(error**2 for error in errors) / len(errors)
    return max(_BAND_LEAST, math.exp(_Z * math.sqrt(square * (1 + 1 / len(errors)))))


def _pace(costs: Mapping[str, float], *, band: float, points: int) -> Pace:
    rate = {name: _short(1 / costs[name]) for name in PACES}
    return Pace(
        gemm=Compute(rate["gemm"]),
        conv1x1=Compute(rate["conv1x1"]),
        conv3x3=Compute(rate["conv3x3"]),
        conv=Compute(rate["conv"]),
        depthwise=Compute(rate["depthwise"]),
        weights=Bandwidth(rate["weights"]),
        activations=Bandwidth(rate["activations"]),
        elementwise=Bandwidth(rate["elementwise"]),
        overhead=Duration(_short(costs["overhead"])),
        band=_short(band),
        points=points,
    )


def _short(value: float) -> float:
    """Three significant digits, which is more than such a fit is good for."""
    return float(f"{value:.{_DIGITS}g}")
