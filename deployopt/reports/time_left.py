"""How long a matrix still takes: first by what its plans predict, then by the cells that ended.

In: what the plan expects of each cell, and when cells begin and end. Out: seconds and what they
rest on, or nothing where nobody can say.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

ENOUGH: Final = 2
"""Cells that must have ended before their mean is better than predictions."""
_MINUTE: Final = 60
_DAY: Final = 24


class Left(NamedTuple):
    """`basis` is for a person: what the seconds rest on."""

    seconds: float
    basis: str


class TimeLeft:
    """Told of cells; times are in seconds on one clock."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._cells = self._ended = self._running = 0
        self._expected_s = 0.0
        self._known = 0

    def planned(self, now: float, expected_s: Sequence[float | None]) -> None:
        """So many cells are to be built, each with what the plan expects of it."""
        known = [seconds for seconds in expected_s if seconds is not None]
        self._cells, self._known = len(expected_s), len(known)
        self._expected_s = sum(known)
        self._began = now

    def began(self) -> None:
        """One more runs."""
        self._running += 1

    def ended(self) -> None:
        """One has ended."""
        self._ended += 1
        self._running = max(0, self._running - 1)

    def at(self, now: float) -> Left | None:
        """From now on; None where there is nothing to go by."""
        if self._began is None or self._ended >= self._cells:
            return None
        passed = now - self._began
        # Cells of which the plan says nothing are taken for such as it speaks of.
        mean_s = self._expected_s / self._known if self._known else 0.0
        predicted = mean_s * self._cells / max(1, self._running) - passed
        if predicted > 0 and self._ended < ENOUGH:
            return Left(predicted, "as predicted")
        if not self._ended:
            return None  # it takes longer than was predicted, and nobody knows how long
        left = passed / self._ended * (self._cells - self._ended)
        return Left(left, f"by the mean of {self._ended}")


def left_words(left: Left | None) -> str:
    """`12 min left, by the mean of 4`; empty where nothing is known."""
    return "" if left is None else f"{duration_words(left.seconds)} left, {left.basis}"


def duration_words(seconds: float) -> str:
    """`8 s`, `12 min`, `3 h 20 min`: as a person tells a wait, no finer."""
    minutes = round(seconds / _MINUTE)
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if minutes < _MINUTE:
        return f"{minutes} min"
    hours, rest = divmod(minutes, _MINUTE)
    return f"{hours} h {rest} min" if rest and hours < _DAY else f"{hours} h"
