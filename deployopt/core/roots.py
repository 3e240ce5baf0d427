"""Where a monotone function crosses zero.

In: a rising function and a bracket. Out: the crossing, to a few units in the last place asked for.
"""

from collections.abc import Callable
from typing import Final

_HALVINGS: Final = 200


def rising_root(
    function: Callable[[float], float], low: float, high: float, *, precision: float = 1e-13
) -> float:
    """Bisect for the x in [low, high] where a rising function crosses zero.

    Without a crossing inside the bracket the nearer end is returned. ``precision`` is relative to
    x, with a floor far below any probability met here.
    """
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if function(middle) < 0.0:
            low = middle
        else:
            high = middle
        if high - low <= precision * max(abs(low), abs(high), 1e-12):
            break
    return 0.5 * (low + high)
