"""Numbers in sentences: bands, counts, ratios.

In: estimates and counts. Out: text, two significant digits where the number is predicted.
"""

from typing import Final

from deployopt.core.evidence import Estimate
from deployopt.core.standing import Standing
from deployopt.core.units import Dimension, show_quantity

_FIT = {
    Standing.INSIDE: "inside",
    Standing.UNSETTLED: "may or may not be inside",
    Standing.OUTSIDE: "outside",
}


# A unit's name, its hours, and the hours from which it is used.
_UNITS: Final = (
    ("days", 24.0, 72.0),
    ("hours", 1.0, 2.0),
    ("minutes", 1 / 60, 1 / 30),
    ("seconds", 1 / 3600, 0.0),
)


def band(estimate: Estimate, dimension: Dimension) -> str:
    """E.g. `31 ms to 76 ms`."""
    low = show_quantity(estimate.lower, dimension, 2)
    high = show_quantity(estimate.upper, dimension, 2)
    return low if low == high else f"{low} to {high}"


def with_band(estimate: Estimate, dimension: Dimension) -> str:
    """E.g. `48 ms (31 ms to 76 ms)`."""
    return f"{show_quantity(estimate.value, dimension, 2)} ({band(estimate, dimension)})"


def tokens_a_second(value: float) -> str:
    """E.g. `14 tokens/s`."""
    return f"{two_digits(value)} tokens/s"


def two_digits(value: float) -> str:
    """Two significant digits, without an exponent."""
    return f"{float(f'{value:.2g}'):g}" if abs(value) < 1e6 else f"{float(f'{value:.2g}'):,.0f}"  # noqa: PLR2004 -- where %g turns to exponents


def times(ratio: float) -> str:
    """E.g. `2.1 x`."""
    return f"{two_digits(ratio)} x"


def duration(hours: Estimate) -> str:
    """E.g. `20 to 80 minutes`, in the unit that keeps the middle readable."""
    unit, scale = next((name, size) for name, size, least in _UNITS if hours.value >= least)
    return f"{two_digits(hours.lower / scale)} to {two_digits(hours.upper / scale)} {unit}"


def tier(estimate: Estimate) -> str:
    """What a prediction rests on, without what was counted."""
    parts = [part.strip() for part in estimate.basis.split(";")]
    return next((part for part in parts if not part.endswith("written")), parts[0])


def count(number: float) -> str:
    """E.g. `8 000`."""
    return f"{number:,.0f}".replace(",", " ")


def standing_words(standing: Standing) -> str:
    """A standing in a sentence."""
    return _FIT[standing]
