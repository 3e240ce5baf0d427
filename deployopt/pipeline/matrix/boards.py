"""The boards of a fleet while a matrix runs: which is free, which is taken, which is out.

One cell at a time has a board. One that cannot be reached or fails its self-check is taken out for
the rest of the call, with the reason, and its cells go to another board of the kind.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from deployopt.core.errors import UnreachableError


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """A device that this call has claimed."""

    name: str
    address: str
    pools: tuple[str, ...]
    """The kinds of board that it is one of."""
    claim: str
    """What whoever measures there shows to be let in."""


class Held(Protocol):
    """What keeps others off a board."""

    def lasts(self) -> bool:
        """Whether it still does."""
        ...


class Boards:
    """All of a call's boards; used by one thread."""

    def __init__(self, boards: Sequence[tuple[Board, Held]] = ()) -> None:
        self._free = [board for board, _ in boards]
        self._all = {board.name: board for board, _ in boards}
        self._holds = {board.name: held for board, held in boards}
        self._reasons: list[tuple[tuple[str, ...], str]] = []

    def take(self, pool: str) -> Board | None:
        """A free one of this kind, now its cell's alone; the one that waited longest."""
        for board in [board for board in self._free if pool in board.pools]:
            self._free.remove(board)
            if self._holds[board.name].lasts():
                return board
            self.take_out(board.name, board.pools, "its connection was lost.")
        return None

    def give_back(self, board: Board | None) -> None:
        """It is free again."""
        if board is not None and board.name in self._all:
            self._free.append(board)

    def take_out(self, name: str, pools: tuple[str, ...], reason: str) -> None:
        """Nobody gets it any more."""
        self._all.pop(name, None)
        self._reasons.append((pools, f"{name}: {reason}"))

    def is_lost(self, pool: str) -> bool:
        """Whether no board of this kind is left."""
        return not any(pool in board.pools for board in self._all.values())

    def lost_words(self, pool: str) -> UnreachableError:
        """Why there is none."""
        why = " ".join(reason for pools, reason in self._reasons if pool in pools)
        return UnreachableError(f"The fleet has no board left for target {pool}. {why}".rstrip())


NO_BOARDS: Final = Boards()
