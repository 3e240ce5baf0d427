"""Signs of life from within a request that takes long, such as a drawing of many steps.

In: who says them. Out: one at a time, at most one a second, so that they cost next to nothing.
"""

import time
from typing import Final

from deployopt.device.protocol import Say, Working

EVERY_S: Final = 1.0
_NS_PER_S: Final = 1_000_000_000


class Signs:
    """Call it as often as you like; `share` and `what` are said of the whole request."""

    def __init__(self, say: Say) -> None:
        self.share = 0.1
        self.what = "drawing"
        self._say = say
        self._last = time.perf_counter_ns()

    def __call__(self) -> None:
        """Say one, if the last is long enough ago."""
        now = time.perf_counter_ns()
        if now - self._last > EVERY_S * _NS_PER_S:
            self._last = now
            self._say(Working(share=self.share, what=self.what))
