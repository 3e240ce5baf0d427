"""The boards of a fleet while a matrix runs: who may measure on which, and which is out.

A cell gets boards of its kind that are all alike, and is measured by the one that is free first, in
turns with the others (turns.py). More than one cell may be at work for one board: one measures, the
next is built. A board that cannot be reached or fails its self-check is taken out for the rest of
the call, with the reason, and its cells go to another board of the kind.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from deployopt.core.errors import UnreachableError
from deployopt.core.fleet import Board

ABREAST: Final = 2
"""Cells at work for each board."""


class Held(Protocol):
    """What keeps others off a board."""

    def lasts(self) -> bool:
        """Whether it still does."""
        ...


class Boards:
    """All of a call's boards; used by one thread."""

    def __init__(self, boards: Sequence[tuple[Board, Held]] = ()) -> None:
        self._all = {board.name: board for board, _ in boards}
        """Those that wait longest for a cell come first."""
        self._cells = dict.fromkeys(self._all, 0)
        self._holds = {board.name: held for board, held in boards}
        self._reasons: dict[str, tuple[tuple[str, ...], str]] = {}

    def take(self, pool: str, abreast: int = 1) -> tuple[Board, ...]:
        """Those that may measure a cell of this kind, its own first; none where all are taken.

        With `abreast` 1 it is its own alone, until it is given back.
        """
        for board in sorted(self._of(pool), key=lambda one: self._cells[one.name]):
            if self._cells[board.name] >= abreast:
                break
            if self._holds[board.name].lasts():
                self._cells[board.name] += 1
                self._all[board.name] = self._all.pop(board.name)  # the last one now
                if abreast == 1:
                    return (board,)
                others = (one for one in self._of(pool) if one is not board)
                return (board, *(one for one in others if one.is_like(board.machine)))
            self.take_out(board.name, board.pools, "its connection was lost.")
        return ()

    def give_back(self, boards: Sequence[Board]) -> None:
        """The cell has ended that these were taken for."""
        for board in boards[:1]:
            if board.name in self._all:
                self._cells[board.name] -= 1

    def take_out(self, name: str, pools: tuple[str, ...], reason: str) -> bool:
        """Nobody gets it any more; False where it is out already."""
        if name in self._reasons:
            return False
        self._all.pop(name, None)
        self._reasons[name] = (pools, reason)
        return True

    def _of(self, pool: str) -> list[Board]:
        return [board for board in self._all.values() if pool in board.pools]

    def is_lost(self, pool: str) -> bool:
        """Whether no board of this kind is left."""
        return not self._of(pool)

    def lost_words(self, pool: str) -> UnreachableError:
        """Why there is none."""
        told = self._reasons.items()
        why = " ".join(f"{name}: {reason}" for name, (pools, reason) in told if pool in pools)
        return UnreachableError(f"The fleet has no board left for target {pool}. {why}".rstrip())


NO_BOARDS: Final = Boards()
