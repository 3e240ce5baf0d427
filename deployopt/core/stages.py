"""A watcher that also keeps how long each stage took."""

import time
from collections.abc import Callable

from deployopt.core.result import StageTime
from deployopt.core.watching import Watcher


class TimedStages:
    """Passes everything on to another watcher; `times` are the stages that have ended."""

    def __init__(
        self, watcher: Watcher, clock_ns: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._watcher = watcher
        self._clock_ns = clock_ns
        self._name: str | None = None
        self._began_ns = 0
        self._times: list[StageTime] = []

    @property
    def times(self) -> tuple[StageTime, ...]:
        """The stages so far, the current one as if it ended now."""
        return (*self._times, *self._current())

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        """A stage begins and the one before has ended."""
        self._times += self._current()
        self._name, self._began_ns = name, self._clock_ns()
        self._watcher.stage(name, total, quiet=quiet)

    def advance(self, share: float, words: str = "") -> None:
        """A share of the current stage is done."""
        self._watcher.advance(share, words)

    def note(self, text: str) -> None:
        """One sentence that stays on the screen."""
        self._watcher.note(text)

    def _current(self) -> list[StageTime]:
        if self._name is None:
            return []
        seconds = (self._clock_ns() - self._began_ns) / 1e9
        return [StageTime(stage=self._name, seconds=round(seconds, 3))]
