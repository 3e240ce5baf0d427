"""Cells given out to those who work, and given out again where they come to nothing.

In: cells, a crew that runs them, the boards that measure them. Out: one result a cell, as they
come. A cell begins when the crew has room and, if its target has boards in the fleet, one of these
is without enough cells; one that is lost goes to others, a bounded number of times, and says so.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Protocol

import msgspec

from deployopt.core.fleet import Board
from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher, failed
from deployopt.pipeline.matrix.boards import NO_BOARDS, Boards
from deployopt.pipeline.matrix.child import LostCellError


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that is to begin, or has."""

    cell: CellRequest
    attempt: int = 1
    """Of running it; a board that fails is no fault of whoever runs it."""
    reasons: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    """Nodes that lost it."""
    boards: tuple[Board, ...] = ()
    """Those that may measure it, its own first."""
    boards_lost: int = 0

    @property
    def board_name(self) -> str:
        """Of the one that will measure it, empty where that is not known."""
        return self.boards[0].name if len(self.boards) == 1 else ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell came to: a result, or a sentence where there is none."""

    waiting: Waiting
    found: CellResult | str
    node: str | None = None


class Crew(Protocol):
    """Those who run cells."""

    attempts: int
    """How often a cell is begun that comes to no result."""
    again: str
    """What is said when it is begun again."""
    abreast: int
    """Cells for each board: 1 where one is run after another."""

    @property
    def works(self) -> bool:
        """Whether a cell has begun that has not ended."""
        ...

    def admits(self, one: Waiting) -> bool:
        """Whether there is room for it now."""
        ...

    def begin(self, one: Waiting) -> bool:
        """Begin it; False where that cannot be just now."""
        ...

    def ended(self) -> Iterator[Ended]:
        """Wait a moment; those that are done."""
        ...


class Dispatch:
    """One call's cells, and what is still to be done with them."""

    def __init__(self, crew: Crew, watcher: MatrixWatcher, boards: Boards = NO_BOARDS) -> None:
        self._crew = crew
        self._watcher = watcher
        self._boards = boards
        self._waiting: dict[str | None, deque[Waiting]] = {}
        """By the kind of board that they need."""

    def results(self, cells: Sequence[CellRequest]) -> Generator[CellResult, None, None]:
        """As they come."""
        for cell in cells:
            self._queue(Waiting(cell=cell))
        while self._waiting or self._crew.works:
            yield from self._begun()
            for ended in self._crew.ended():
                result = self._judged(ended)
                if result is not None:
                    yield result

    def _queue(self, one: Waiting) -> None:
        self._waiting.setdefault(one.cell.pool, deque()).append(one)

    def _begun(self) -> Iterator[CellResult]:
        """Begin all that may begin; the failures of those that never will."""
        for pool in list(self._waiting):
            line = self._waiting[pool]
            while line and self._crew.admits(line[0]):
                if pool is not None and self._boards.is_lost(pool):
                    yield self._without_board(line.popleft())
                    continue
                one = self._with_board(line[0])
                if one is None:
                    break
                if not self._crew.begin(one):
                    self._boards.give_back(one.boards)
                    return
                line.popleft()
            if not line:
                del self._waiting[pool]

    def _with_board(self, one: Waiting) -> Waiting | None:
        """Ready to begin; None while every board of its kind has enough cells."""
        if one.cell.pool is None:
            return one
        boards = self._boards.take(one.cell.pool, self._crew.abreast)
        if not boards:
            return None
        cell = msgspec.structs.replace(one.cell, boards=boards)
        return msgspec.structs.replace(one, cell=cell, boards=boards)

    def _judged(self, ended: Ended) -> CellResult | None:
        """The result, or None where the cell is begun again."""
        one, found = ended.waiting, ended.found
        self._boards.give_back(one.boards)
        if isinstance(found, str):
            return self._lost(ended, found)
        board = next((board for board in one.boards if board.name == found.device), None)
        if board is not None and found.error_kind == "UnreachableError":
            return self._board_lost(one, board, found.error or "")
        return msgspec.structs.replace(
            found,
            attempts=one.attempt + one.boards_lost,
            node=ended.node,
            device=None if board is None else board.name,
        )

    def _lost(self, ended: Ended, reason: str) -> CellResult | None:
        one = ended.waiting
        if one.attempt >= self._crew.attempts:
            return _given_up(one, reason)
        self._watcher.note(one.cell.name.id, f"{reason} {self._crew.again}")
        avoid = one.avoid if ended.node is None else (*one.avoid, ended.node)
        self._queue(
            msgspec.structs.replace(
                one, attempt=one.attempt + 1, reasons=(*one.reasons, reason), avoid=avoid
            )
        )
        return None

    def _board_lost(self, one: Waiting, board: Board, reason: str) -> CellResult | None:
        if self._boards.take_out(board.name, board.pools, reason):
            self._watcher.note(
                one.cell.name.id, f"{board.name} is taken out of the fleet: {reason}"
            )
        again = msgspec.structs.replace(one, boards_lost=one.boards_lost + 1)
        if self._boards.is_lost(one.cell.pool or ""):
            return self._without_board(again)
        self._queue(again)
        return None

    def _without_board(self, one: Waiting) -> CellResult:
        error = self._boards.lost_words(one.cell.pool or "")
        attempts = one.attempt + max(0, one.boards_lost - 1)
        return failed(one.cell, error, attempts=attempts)


def _given_up(one: Waiting, reason: str) -> CellResult:
    said = (*one.reasons, reason)
    times = {2: "both times"}.get(len(said), f"{len(said)} times")
    words = f"{said[0]} ({times})" if len(set(said)) == 1 else "; then ".join(said)
    error = LostCellError(f"The process that built {one.cell.name.id} came to no result: {words}")
    return failed(one.cell, error, attempts=one.attempt + one.boards_lost)
