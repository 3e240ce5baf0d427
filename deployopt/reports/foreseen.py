"""A prediction beside the measurement that came of it: `predicted 55 ms (22 ms to 138 ms), ...`.

In: what was expected of the target, and the verdict. Out: a sentence for each budget that was
measured on the target, or is exact anywhere; on another machine the two cannot be compared.
"""

from collections.abc import Mapping
from typing import Final

from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.units import Dimension, show_quantity
from deployopt.core.verdict import Verdict
from deployopt.reports.words import dimension_of, metric_words

_OF_THE_TARGET: Final = frozenset({Evidence.TARGET, Evidence.EXACT})
_DIGITS: Final = 2
"""Of a prediction; more would be pretence."""
_FINE: Final = 10.0
"""Ratios below it are told to a tenth."""


def foreseen(predicted: Mapping[str, Estimate], verdict: Verdict | None) -> list[tuple[str, str]]:
    """Metric, and the prediction with its band, the measurement and their ratio."""
    found = []
    for check in () if verdict is None else verdict.checks:
        estimate, dimension = predicted.get(check.metric), dimension_of(check.metric)
        if estimate is None or dimension is None or check.observed is None:
            continue
        if check.evidence in _OF_THE_TARGET and estimate.value > 0:
            words = _words(estimate, check.observed, dimension)
            found.append((metric_words(check.metric), words))
    return found


def _words(estimate: Estimate, observed: float, dimension: Dimension) -> str:
    value, low, high = (
        show_quantity(amount, dimension, _DIGITS)
        for amount in (estimate.value, estimate.lower, estimate.upper)
    )
    ratio = observed / estimate.value
    shown = f"{ratio:.1f}" if ratio < _FINE else f"{ratio:.0f}"
    outside = "" if estimate.lower <= observed <= estimate.upper else ", outside the band"
    measured = show_quantity(observed, dimension)
    return f"predicted {value} ({low} to {high}), measured {measured}: {shown} x{outside}"
