"""Ctrl-C and SIGTERM: remembered, so that a stop which compiled code swallowed is still one.

A signal raises wherever the program is. Compiled code that is stopped in making an error's message
gives another error in its place, and what catches that goes on as if nobody had asked to stop.
"""

import signal
from types import FrameType
from typing import Final, NoReturn

from deployopt.core.watching import Watcher

RECEIVED: Final[list[int]] = []
"""Signals that asked the current command to stop."""


class TerminatedError(BaseException):
    """SIGTERM came; a BaseException, so that clean-up runs and nothing swallows it."""


def listen() -> None:
    """Stop at SIGTERM, and at Ctrl-C unless whoever started this process has it ignored."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def heed() -> None:
    """Raise again what a signal raised and somebody lost."""
    if RECEIVED:
        _raise(RECEIVED[0])


class Heeding:
    """A Watcher: tells another, and stops where a new piece of work begins after a lost stop."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        """As the other's."""
        heed()
        self._watcher.stage(name, total, quiet=quiet)

    def advance(self, share: float, words: str = "") -> None:
        """As the other's."""
        self._watcher.advance(share, words)

    def note(self, text: str) -> None:
        """As the other's."""
        heed()
        self._watcher.note(text)


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 -- the signal's form
    RECEIVED.append(number)
    _raise(number)


def _raise(number: int) -> NoReturn:
    raise TerminatedError if number == signal.SIGTERM else KeyboardInterrupt
