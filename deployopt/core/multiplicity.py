"""Several candidates at one gate: tested in a sequence, the family's false accepts stay at alpha.

In: p-values in an order that was settled without the gate's data, small where they speak against
"the budget is missed". Out: how many of them are accepted. Refuses (ValueError) p-values outside 0
to 1.

Each is tested at the whole of alpha, and the first that fails ends it (Maurer, Hothorn and
Lehmacher 1995; Westfall and Krishen 2001): a false accept needs the first candidate that is too bad
to pass its own test. Ordered from the safest to the boldest this asks far less of the last ones
than Holm's procedure, which divides alpha by the number of candidates.
"""

from collections.abc import Sequence
from typing import Final

FALLBACK_SHARE: Final = 0.1
"""Of alpha, where a candidate stands apart that is certain to pass, and is asked only if none does.

The others then share the rest, by Bonferroni's inequality.
"""


def accepted_in_sequence(p_values: Sequence[float], alpha: float) -> int:
    """Return how many pass, from the first on."""
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError("p-values must lie between 0 and 1")
    return next((at for at, p in enumerate(p_values) if p > alpha), len(p_values))
