"""Several candidates at one gate: Holm's procedure keeps the family's false accepts at alpha.

In: one p-value a candidate, small where its data speak against "the budget is missed". Out: which
may be accepted. Refuses (ValueError) p-values outside 0 to 1.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Return, candidate by candidate, whether Holm's step-down test accepts it."""
    return tuple(p <= alpha for p in holm_adjusted(p_values))


def holm_adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values after Holm (Scandinavian Journal of Statistics 6:65, 1979).

    The i-th smallest of k is multiplied by k - i (i from 0), and none may be smaller than one
    before it. One candidate's p-value stays as it is.
    """
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError("p-values must lie between 0 and 1")
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for i, candidate in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - i) * p_values[candidate]))
        adjusted[candidate] = running
    return tuple(adjusted)


def holm_levels(p_values: Sequence[float], alpha: float = 0.05) -> tuple[float, ...]:
    """Return the level that Holm's procedure tests each candidate at.

    The candidate is accepted exactly when its p-value is at most its level, so that a bound at
    confidence 1 - level tells the same: alpha / (k - i) for the i-th smallest of k, and from the
    first one that fails on, that one's level for all.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    levels = [alpha] * len(p_values)
    failed: float | None = None
    for i, candidate in enumerate(order):
        level = alpha / (len(p_values) - i) if failed is None else failed
        levels[candidate] = level
        if failed is None and p_values[candidate] > level:
            failed = level
    return tuple(levels)
