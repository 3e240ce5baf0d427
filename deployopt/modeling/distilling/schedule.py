"""How the learning rate goes: up, then down along a cosine to zero, by steps or by time."""

import math


def progress(step: int, steps: int, elapsed_s: float, limit_s: float | None) -> float:
    """The share done, 0 to 1 and over: of the steps, or of the time where that runs out first."""
    by_steps = step / max(1, steps)
    return by_steps if limit_s is None else max(by_steps, elapsed_s / max(limit_s, 1e-9))


def rate(share: float, warm_up: float) -> float:
    """The share of the peak learning rate at this share of the whole."""
    if share < warm_up:
        return share / warm_up
    done = min(1.0, (share - warm_up) / max(1e-9, 1.0 - warm_up))
    return 0.5 * (1.0 + math.cos(math.pi * done))
