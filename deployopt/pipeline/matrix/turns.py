"""Whose turn it is on the boards of a fleet: one cell at a time measures on each.

In: boards that are alike. Out: the one whose turn it is. Cells of one machine settle it among
themselves by leases; a cell on a node of a cluster asks for its turn by words to whoever runs it,
and reads the answers from a descriptor.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from deployopt.core.codec import decode_json
from deployopt.core.errors import UnreachableError
from deployopt.core.fleet import Board
from deployopt.pipeline.matrix.exclusive import place_name
from deployopt.pipeline.matrix.messages import Speaker
from deployopt.store.leases import Held, Lease

_LOOK_S: Final = 0.25
"""Between looks at which of several boards is free."""


class Turns(Protocol):
    """One cell's; used by one thread."""

    @property
    def has_one(self) -> bool:
        """Whether a board is this cell's now."""
        ...

    def found_free(self, boards: Sequence[Board]) -> Board | None:
        """One of these that is free, from now on this cell's; None where others have them."""
        ...

    def waited_for(self, boards: Sequence[Board]) -> Board:
        """The first of these that comes free, from now on this cell's."""
        ...

    def let_go(self) -> None:
        """Others may have it."""
        ...


class LeasedTurns:
    """Of cells that meet at the leases of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._leases: dict[str, Lease] = {}

    @property
    def has_one(self) -> bool:
        """Whether a lease is held."""
        return any(lease.held is Held.ALONE for lease in self._leases.values())

    def found_free(self, boards: Sequence[Board]) -> Board | None:
        """By a lease without waiting."""
        return next((board for board in boards if self._lease(board).try_alone()), None)

    def waited_for(self, boards: Sequence[Board]) -> Board:
        """One board in the order of those that wait; of several the first that is seen free."""
        if len(boards) == 1:
            self._lease(boards[0]).alone()
            return boards[0]
        while (board := self.found_free(boards)) is None:
            time.sleep(_LOOK_S)
        return board

    def let_go(self) -> None:
        """Drop what is held."""
        for lease in self._leases.values():
            lease.drop()

    def _lease(self, board: Board) -> Lease:
        return self._leases.setdefault(board.name, Lease(self._folder, place_name(board.address)))


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line to the cell: the board whose turn it is, or none."""

    board: str | None = None


class AskedTurns:
    """Of a cell whose turns somebody else keeps: it asks on `speaker`, and `answer` has the line.

    `answer` is empty where nobody answers any more.
    """

    def __init__(self, speaker: Speaker, answer: Callable[[], bytes]) -> None:
        self._speaker = speaker
        self._answer = answer
        self._board: str | None = None

    @property
    def has_one(self) -> bool:
        """Whether it was given one."""
        return self._board is not None

    def found_free(self, boards: Sequence[Board]) -> Board | None:
        """Ask once."""
        return self._asked(boards, waits=False)

    def waited_for(self, boards: Sequence[Board]) -> Board:
        """Stand in the line for them; raises UnreachableError where nobody keeps it any more."""
        board = self._asked(boards, waits=True)
        if board is None:
            raise UnreachableError("Whoever keeps the turns of the fleet's boards gave none.")
        return board

    def let_go(self) -> None:
        """Say so, once."""
        if self._board is not None:
            self._board = None
            self._speaker.let_go()

    def _asked(self, boards: Sequence[Board], *, waits: bool) -> Board | None:
        self._speaker.want(boards[0].name if len(boards) == 1 else None, waits=waits)
        line = self._answer()
        if not line:
            raise UnreachableError("Whoever keeps the turns of the fleet's boards is gone.")
        self._board = decode_json(line, Answer, where="What was said of a turn").board
        return next((board for board in boards if board.name == self._board), None)
