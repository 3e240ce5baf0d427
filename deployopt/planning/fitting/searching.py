"""The largest whole number at which something still holds, where more of it never helps."""

from collections.abc import Callable


def largest(holds: Callable[[int], bool], limit: int) -> int | None:
    """The largest of 1 to `limit` for which `holds`; None where not even 1 does.

    `holds` is taken to be true up to some number and false above it.
    """
    if limit < 1 or not holds(1):
        return None
    low, high = 1, 2
    while high <= limit and holds(high):
        low, high = high, 2 * high
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
