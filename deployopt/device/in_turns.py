"""Children that are timed beside each other: all of them ready, one at work, the others stopped.

In: requests that ask for turns. Out: an answer each, or the error of a child that failed. Rounds
one after another differ by what the machine does from one second to the next; within a lap of short
turns that is nearly the same for all. Copies of one model, which are to work at once, are made
ready in the same way and begin together.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Final

from deployopt.core.errors import DeviceError
from deployopt.device.protocol import Evaluated, Timed, TimeRequest, Timing, Waiting, Working
from deployopt.device.setup import Limits
from deployopt.device.supervise import CHILD, Progress, Watched, started

_SIGN_OF_LIFE_S: Final = 1.0


def ask_in_turns(
    requests: Sequence[Timing],
    limits: Limits,
    progress: Progress = lambda _: None,
    command: Sequence[str] = CHILD,
) -> tuple[Timed | DeviceError, ...]:
    """A fresh child for each request, all ready before the first turn, then one turn each in laps.

    Every other child is stopped meanwhile, threads that spin included. Laps go there and back, so
    that a drift favours none. A child that fails leaves its error and the others go on; the other
    errors are raised as by `ask`. Where all of them are `at_once` they have one turn, at the same
    time.
    """
    if requests and all(isinstance(r, TimeRequest) and r.at_once for r in requests):
        return _at_once([_Entrant(r, limits, progress, command) for r in requests], progress)
    found: dict[int, Timed | DeviceError] = {}
    with ExitStack() as stack:
        waiting: dict[int, _Entrant] = {}
        for place, request in enumerate(requests):
            entrant = _Entrant(request, limits, progress, command)
            stack.callback(entrant.close)
            waiting[place] = entrant
        lap, said = 0, time.monotonic()
        while waiting:
            if time.monotonic() - said > _SIGN_OF_LIFE_S:
                said = time.monotonic()
                progress(Working(share=0.5, what="taking turns"))
            for place in sorted(waiting, reverse=lap % 2 == 0 and lap > 0):
                outcome = waiting[place].turn()
                if outcome is not None:
                    found[place] = outcome
                    waiting.pop(place).close()
            lap += 1
    return tuple(found[place] for place in range(len(requests)))


def _at_once(entrants: Sequence["_Entrant"], progress: Progress) -> tuple[Timed | DeviceError, ...]:
    """Each is loaded and warm by itself; then all go on until the last one has its answer.

    Where one fails before, the others are not begun: what they did would be of fewer copies.
    """
    with ExitStack() as stack:
        for entrant in entrants:
            stack.callback(entrant.close)
            outcome = entrant.turn()
            if isinstance(outcome, DeviceError):
                return (outcome,) * len(entrants)
            if outcome is not None:
                raise DeviceError("The model's process did not wait for the others.")
        pool = ThreadPoolExecutor(len(entrants))
        # On the way out it is the children that end first, and with them what waits for them.
        stack.callback(pool.shutdown, wait=False)
        going = [pool.submit(entrant.turn) for entrant in entrants]
        while wait(going, timeout=_SIGN_OF_LIFE_S).not_done:
            progress(Working(share=0.5, what=f"{len(entrants)} copies at once"))
        late = DeviceError("The model's process waits for another turn than the one it had.")
        return tuple(one.result() or late for one in going)


class _Entrant:
    """One child among several; its first turn is to load the model and to warm up."""

    def __init__(
        self,
        request: Timing,
        limits: Limits,
        progress: Progress,
        command: Sequence[str],
    ) -> None:
        self._request = request
        self._limits = limits
        self._progress = progress
        self._command = command
        self._stack = ExitStack()
        self._watched: Watched | None = None

    def turn(self) -> Timed | DeviceError | None:
        """What it came to in the end; None while it waits for another turn."""
        try:
            reply = self._go_on()
        except DeviceError as error:
            return error
        if isinstance(reply, Waiting):
            return None
        if isinstance(reply, Timed):
            return reply
        return DeviceError("The model's process answered another question.")

    def _go_on(self) -> Timed | Evaluated | Waiting:
        if self._watched is not None:
            return self._watched.take_turn(self._progress)
        process, channel = self._stack.enter_context(started(self._command))
        self._watched = Watched(process, channel, self._limits)
        return self._watched.begin(self._request, self._progress)

    def close(self) -> None:
        """End the child, wherever it is."""
        self._stack.close()
