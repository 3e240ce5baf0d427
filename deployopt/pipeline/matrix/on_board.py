"""A board of a fleet as the device of a cell: taken to measure, and let go while the cell builds.

In: boards that are alike, the turns by which a call's cells share them, the builder's lease. Out:
a device that takes the first board that is free when something is first asked of it, and from then
on this one. Whoever waits for a board builds nothing, and keeps nobody from measuring here.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Self

from deployopt.core.errors import DeviceError, UnreachableError
from deployopt.core.fleet import Board
from deployopt.core.measurement import Machine
from deployopt.core.watching import Watcher
from deployopt.device.device import Device, Signs, unheard
from deployopt.device.protocol import Evaluated, Request, Timed, Timing
from deployopt.device.setup import Limits
from deployopt.pipeline.matrix.turns import Turns
from deployopt.store.leases import Lease

Reach = Callable[[Board], AbstractContextManager[Device | None]]


class OnBoard:
    """One cell's; `board` is the one that measures it, None until then."""

    def __init__(self, boards: Sequence[Board], turns: Turns, builder: Lease, reach: Reach) -> None:
        self._boards = tuple(boards)
        self._turns = turns
        self._builder = builder
        self._reach = reach
        self._stack = ExitStack()
        self._device: Device | None = None
        self.on_wait: Callable[[], None] = _unheard
        self.board: Board | None = None
        self.waited_s = 0.0
        """For boards that others had."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stack.close()
        finally:
            self.let_go()

    @property
    def where(self) -> str:
        """For people."""
        return "a board of the fleet" if self.board is None else self.board.address

    @property
    def machine(self) -> Machine:
        """What it is; before one is taken, what all of them are."""
        return self._boards[0].machine if self._device is None else self._device.machine

    def limits(self) -> Limits:
        """What a child may take there now."""
        return self.taken().limits()

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        """As the board."""
        return self.taken().ask(request, limits, signs)

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """As the board."""
        return self.taken().ask_in_turns(requests, limits, signs)

    def taken(self) -> Device:
        """The board, now nobody else's.

        Raises:
            UnreachableError: it cannot be reached, or is another machine than before.
        """
        if not self._turns.has_one:
            wanted = self._boards if self.board is None else (self.board,)
            self.board = self._turns.found_free(wanted) or self._waited_for(wanted)
        if self._device is None:
            self._device = self._reached(self.board)
        return self._device

    def let_go(self) -> None:
        """Others may measure there until something is asked again."""
        self._turns.let_go()

    def _waited_for(self, wanted: Sequence[Board]) -> Board:
        """Who holds a board may be waiting for the builder, so that is let go first."""
        self._builder.drop()
        self.on_wait()
        began = time.perf_counter_ns()
        board = self._turns.waited_for(wanted)
        self.waited_s += (time.perf_counter_ns() - began) / 1e9
        self._builder.share()
        return board

    def _reached(self, board: Board | None) -> Device:
        device = None if board is None else self._stack.enter_context(self._reach(board))
        if board is None or device is None:
            raise ValueError("a board without an address was taken")
        if not board.is_like(device.machine):
            raise UnreachableError(
                f"{board.address} is another machine than when the fleet was looked at. What was "
                "built for that one is not measured on it."
            )
        return device


class BoardStages:
    """A watcher that takes the board for what is timed, and lets it go at every other stage."""

    def __init__(
        self, watcher: Watcher, device: OnBoard, builder: Lease, waits: Callable[[], None]
    ) -> None:
        self._watcher = watcher
        self._device = device
        self._builder = builder
        device.on_wait = builder.on_wait = waits

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        """The board before the clock of what is timed runs; else whoever waits goes first."""
        if quiet:
            self._device.taken()
        else:
            self._device.let_go()
            self._builder.share()
        self._watcher.stage(name, total, quiet=quiet)

    def advance(self, share: float, words: str = "") -> None:
        """A share of the current stage is done."""
        self._watcher.advance(share, words)

    def note(self, text: str) -> None:
        """One sentence that stays on the screen."""
        self._watcher.note(text)


class Connecting:
    """The watcher of a connection that is made in the middle of a stage, which goes on."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        """It is none of the build's."""

    def advance(self, share: float, words: str = "") -> None:
        """A sign of life."""
        self._watcher.advance(share, words)

    def note(self, text: str) -> None:
        """One sentence that stays on the screen."""
        self._watcher.note(text)


def _unheard() -> None:
    """No one is told of waiting."""
