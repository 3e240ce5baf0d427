"""Where a figure stands against its limit, once the interval around it is known.

In: one-sided bounds and a limit. Out: one of the three words that every judgement in ``core``
answers with. It refuses nothing: a bound that is not a number settles nothing.
"""

import enum


class Standing(enum.StrEnum):
    """Which side of a limit the whole bound lies on, if any."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    UNSETTLED = "unsettled"


def standing_between(lower: float, upper: float, limit: float) -> Standing:
    """Return where one-sided bounds stand against a limit that may be reached, not passed."""
    if upper <= limit:
        return Standing.INSIDE
    if lower > limit:
        return Standing.OUTSIDE
    return Standing.UNSETTLED
