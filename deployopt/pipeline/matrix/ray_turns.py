"""Turns on the boards of a fleet for cells that run on the nodes of a cluster.

One Keeper a call, an actor on the driver's node: it knows who measures on which board and who waits
for one. On a node a cell's words about its turn go to it, and what it says goes back to the cell.
Nobody is waited for there: whoever stands in the line asks again.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from deployopt.core.codec import encode_json
from deployopt.core.errors import UnreachableError
from deployopt.core.text import safe_text
from deployopt.pipeline.matrix.messages import LetsGo, Wants
from deployopt.pipeline.matrix.turns import Answer

KEEPER: Final = "deployopt-turns"
"""The actor's name, of its job alone."""
_ANSWER_S: Final = 60.0
_T = TypeVar("_T")


class Turns(Protocol):
    """What a node asks."""

    def take(self, turn: str, boards: Sequence[str], *, waits: bool) -> str | None:
        """The board that is this one's now."""
        ...

    def give(self, turn: str) -> None:
        """It has none any more, and waits for none; it may ask again."""
        ...


class Keeper:
    """Whose turn it is on each board; first come, first served."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        """By board."""
        self._line: dict[str, tuple[str, ...]] = {}
        """By turn, in the order in which they came: the boards that each would take."""
        self._ended: set[str] = set()

    def take(self, turn: str, boards: Sequence[str], *, waits: bool) -> str | None:
        """One of these boards, from now on this turn's; with `waits` it keeps its place in line."""
        if turn in self._ended:
            return None
        had = next((board for board, who in self._holders.items() if who == turn), None)
        if had is not None:
            return had
        if waits:
            self._line.setdefault(turn, tuple(boards))
        before = self._before(turn)
        free = (one for one in boards if one not in self._holders and one not in before)
        found = next(free, None)
        if found is not None:
            self._holders[found] = turn
            self._line.pop(turn, None)
        return found

    def leave(self, turn: str) -> None:
        """It stands in no line; a board that it has stays its own."""
        self._line.pop(turn, None)

    def give(self, turn: str) -> None:
        """Whoever it was has its board no more, and waits for none."""
        self.leave(turn)
        for board in [board for board, who in self._holders.items() if who == turn]:
            del self._holders[board]

    def end(self, turn: str) -> None:
        """Its cell has ended; what it asked and comes late is refused."""
        self._ended.add(turn)
        self.give(turn)

    def holders(self) -> dict[str, str]:
        """Whose turn it is, by board."""
        return dict(self._holders)

    def _before(self, turn: str) -> set[str]:
        """Boards that somebody waits for who came earlier."""
        wanted: set[str] = set()
        for other, boards in self._line.items():
            if other == turn:
                break
            wanted.update(boards)
        return wanted


class RayTurns:
    """The keeper of the job that this worker works for."""

    def __init__(self) -> None:
        from ray import get_actor

        self._keeper = _asked(lambda: get_actor(KEEPER))

    def take(self, turn: str, boards: Sequence[str], *, waits: bool) -> str | None:
        """Ask it; raises UnreachableError where it is gone."""
        from ray import get

        asked = self._keeper.take.remote(turn, tuple(boards), waits=waits)
        board: str | None = _asked(lambda: get(asked, timeout=_ANSWER_S))
        return board

    def give(self, turn: str) -> None:
        """Tell it; that it is gone is nobody's matter any more."""
        self._keeper.give.remote(turn)


class CellTurns:
    """What one cell's process says of its turns, passed on; `answers` is where it reads."""

    def __init__(
        self, turn: str, boards: Sequence[str], answers: int, turns: Callable[[], Turns] = RayTurns
    ) -> None:
        self._turn = turn
        self._boards = tuple(boards)
        self._answers = answers
        self._reach = turns
        self._turns: Turns | None = None
        self._wanted: Wants | None = None

    @property
    def waits(self) -> bool:
        """Whether it stands in the line."""
        return self._wanted is not None

    def hear(self, message: Wants | LetsGo) -> None:
        """A word of the cell's."""
        if isinstance(message, LetsGo):
            self.end()
        else:
            self._wanted = message
            self.look()

    def look(self) -> None:
        """Ask for what it waits for, and tell it what there is to tell."""
        wanted = self._wanted
        if wanted is None:
            return
        self._turns = self._turns or self._reach()
        boards = self._boards if wanted.board is None else (wanted.board,)
        board = self._turns.take(self._turn, boards, waits=wanted.waits)
        if board is None and wanted.waits:
            return
        self._wanted = None
        # Shorter than a pipe holds, and the cell reads it before it asks again.
        os.write(self._answers, encode_json(Answer(board=board)) + b"\n")

    def end(self) -> None:
        """Its turn is over, whatever it was."""
        self._wanted = None
        if self._turns is not None:
            self._turns.give(self._turn)


def _asked(what: Callable[[], _T]) -> _T:
    """What it says; raises UnreachableError where it is gone."""
    from ray.exceptions import RayError

    try:
        return what()
    except (RayError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UnreachableError(
            "What keeps the turns of the fleet's boards does not answer "
            f"({safe_text(reason, 200)})."
        ) from error
