"""Whose turn it is, where several processes are timed beside each other on the same cores.

In: how to wait for a turn. Out: nothing; between two requests a process pauses as soon as its turn
is over, and takes up again with requests that do not count: others have used the caches, and the
kernel has to spread the threads over the cores again. What a shared machine does slowly (its clock,
its neighbours) then falls on all of them alike, and leaves their ratio as it is.
"""

import time
from collections.abc import Callable
from typing import Final

from deployopt.device.card_watch import CardWatch
from deployopt.device.conditions import Outside, delay_between, read_run_delays_ns
from deployopt.device.energy import Meter

WARMING_S: Final = 0.01
"""At the start of a turn; a thread that has to change its core does so at a timer tick or two."""
WARMING_SHARE_MAX: Final = 0.2
"""Requests that take more than this of a turn are not sent in vain."""
_NS_PER_S: Final = 1_000_000_000

Clock = Callable[[], int]


class Turns:
    """The turns of one process.

    `wait` returns when the next one has come; without `turn_s` there is one, from the start to the
    end. `guess_s` is what a request takes.
    """

    def __init__(
        self,
        turn_s: float | None = None,
        guess_s: float = 1.0,
        wait: Callable[[], None] = lambda: None,
        clock: Clock = time.perf_counter_ns,
        card: CardWatch | None = None,
    ) -> None:
        self._card = card
        self._turn_ns = None if turn_s is None else int(turn_s * _NS_PER_S)
        self._warms = turn_s is not None and guess_s <= WARMING_SHARE_MAX * turn_s
        self._wait = wait
        self._clock = clock
        self._ends: int | None = None
        self._meter = Meter(clock)
        self._begin()
        self.outside = Outside()
        """Waiting and warming up, so far."""

    def come(self, send: Callable[[int], object]) -> None:
        """Go on within a turn; else wait for one, and warm up by sending requests 0, 1 …."""
        self._meter.sample()
        if self._card is not None:
            self._card.sample()
        if self._turn_ns is None or (self._ends is not None and self._clock() < self._ends):
            return
        if self._ends is not None:
            self._end()
        left, cpu_s, delays = self._clock(), time.process_time(), read_run_delays_ns()
        self._wait()
        begun, sent = self._clock(), 0
        while self._warms and self._clock() - begun < WARMING_S * _NS_PER_S:
            send(sent)
            sent += 1
        delay_ns = delay_between(delays, read_run_delays_ns()) or 0
        self._begin()
        now, before = self._clock(), self.outside
        self.outside = Outside(
            wall_s=before.wall_s + (now - left) / _NS_PER_S,
            cpu_s=before.cpu_s + time.process_time() - cpu_s,
            delay_ns=before.delay_ns + delay_ns,
        )
        self._ends = now + self._turn_ns

    def energy_j(self) -> float | None:
        """Joules of the turns, the last one ending now; None where nothing tells."""
        self._end()
        return self._meter.joules

    def _begin(self) -> None:
        self._meter.begin()
        if self._card is not None:
            self._card.begin()

    def _end(self) -> None:
        self._meter.end()
        if self._card is not None:
            self._card.end()
