"""When a process has warmed up: its requests take about as long as the ones before.

In: durations, one request at a time, in any unit. Out: how many of them were warm-up, and whether
a steady state was reached. Refuses (ValueError) durations that are not finite and positive.

Warm-up lasts until three consecutive windows of 25 requests have means within 10 %, at most ten
windows. A request that is itself of many passes is a window of its own. A process that never
settles is flagged, and measured all the same.
"""

import math
from collections.abc import Iterable
from typing import Final

import msgspec

WINDOW: Final = 25
PASSES_WINDOW: Final = 1
"""Of requests that are themselves of about as many passes."""
ALIKE: Final = 3
MOST_WINDOWS: Final = 10
TOLERANCE: Final = 0.10


class WarmUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests were warm-up, and whether the last windows of it were alike."""

    requests: int
    stable: bool


class WarmUpWatch:
    """Watches durations as they come; `done` says when measuring may begin."""

    def __init__(self, window: int = WINDOW) -> None:
        self._size = window
        self._window: list[float] = []
        self._means: list[float] = []

    def add(self, duration: float) -> bool:
        """Take one more request's duration and return whether warm-up is over.

        Durations after the end are part of the measurement and are not counted.
        """
        if not (math.isfinite(duration) and duration > 0.0):
            raise ValueError(f"a duration must be finite and positive, got {duration}")
        if not self.done:
            self._window.append(duration)
            if len(self._window) == self._size:
                self._means.append(math.fsum(self._window) / self._size)
                self._window.clear()
        return self.done

    @property
    def stable(self) -> bool:
        """Whether the last three windows' means lie within 10 % of the least of them."""
        last = self._means[-ALIKE:]
        return len(last) == ALIKE and max(last) <= (1.0 + TOLERANCE) * min(last)

    @property
    def done(self) -> bool:
        """Whether warm-up is over: stable, or at its end without having become so."""
        return self.stable or len(self._means) == MOST_WINDOWS

    @property
    def result(self) -> WarmUp:
        """The warm-up so far."""
        return WarmUp(
            requests=len(self._means) * self._size + len(self._window), stable=self.stable
        )


def warm_up(durations: Iterable[float]) -> WarmUp:
    """Return how many of these durations, in order, are warm-up, and whether it became stable."""
    watch = WarmUpWatch()
    for duration in durations:
        if watch.add(duration):
            break
    return watch.result
