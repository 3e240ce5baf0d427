"""How much of a time limit is left, over all the calls that a search goes on from."""

import time
from collections.abc import Callable


class TimeBudget:
    """`left_s` is infinite where there is no limit; `spent_before_s` is of earlier calls."""

    def __init__(
        self,
        limit_s: float | None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._limit_s = limit_s
        self._clock_ns = clock_ns
        self._began_ns = self._lap_ns = clock_ns()
        self.spent_before_s = 0.0

    @property
    def limit_s(self) -> float | None:
        """As it was asked."""
        return self._limit_s

    @property
    def spent_s(self) -> float:
        """In this call and before it."""
        return self.spent_before_s + (self._clock_ns() - self._began_ns) / 1e9

    @property
    def left_s(self) -> float:
        """Below zero when it is over."""
        return float("inf") if self._limit_s is None else self._limit_s - self.spent_s

    def lap_s(self) -> float:
        """Since the last time that this was asked, or the beginning."""
        before, self._lap_ns = self._lap_ns, self._clock_ns()
        return (self._lap_ns - before) / 1e9
