"""Bands of numbers that several independent things move.

In: the middle value and the ends that each cause alone would bring. Out: one band.
"""

import math
from collections.abc import Iterable

import msgspec


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """What a value would be at both ends of one cause."""

    low: float
    high: float


def together(value: float, causes: Iterable[Ends]) -> tuple[float, float]:
    """The band of all causes: their ratios to `value` add up as squares of logarithms.

    Independent causes seldom stand at their worst together, so the band is narrower than the
    product of the ratios and wider than any of them. Ends on the wrong side count as no cause.
    """
    if value <= 0:
        return 0.0, 0.0
    down = up = 0.0
    for ends in causes:
        down += math.log(value / ends.low) ** 2 if 0 < ends.low < value else 0.0
        up += math.log(ends.high / value) ** 2 if ends.high > value else 0.0
    return value / math.exp(math.sqrt(down)), value * math.exp(math.sqrt(up))
