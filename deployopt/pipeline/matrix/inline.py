"""The executor that builds one cell after another in this process.

A cell that crashes the interpreter ends the call; the next call goes on after the cells that were
finished. Use it to debug, or where no other process may be started.
"""

from collections.abc import Generator, Iterator, Sequence

from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher
from deployopt.pipeline.matrix.boards import NO_BOARDS, Boards
from deployopt.pipeline.matrix.dispatch import Dispatch, Ended, Waiting


class Inline:
    """One at a time."""

    def __init__(self) -> None:
        self.boards: Boards = NO_BOARDS
        self.jobs = 1

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """In the order given."""
        yield from Dispatch(_Oneself(watcher), watcher, self.boards).results(cells)


class _Oneself:
    """Who does it at once."""

    attempts = 1
    again = ""
    abreast = 1

    def __init__(self, watcher: MatrixWatcher) -> None:
        self._watcher = watcher
        self._done: list[Ended] = []

    @property
    def works(self) -> bool:
        """Whether there is a result that nobody took."""
        return bool(self._done)

    def admits(self, one: Waiting) -> bool:
        """One at a time."""
        del one
        return not self._done

    def begin(self, one: Waiting) -> bool:
        """Do it."""
        from deployopt.pipeline.matrix.cell import run_cell  # light until something is built

        name = one.cell.name.id
        self._watcher.began(name, one.board_name)
        found = run_cell(one.cell, Told(name, self._watcher))
        self._done.append(Ended(waiting=one, found=found))
        return True

    def ended(self) -> Iterator[Ended]:
        """What was done."""
        done, self._done = self._done, []
        yield from done


class Told:
    """A cell's watcher: tells the matrix's which cell it is about."""

    def __init__(self, cell: str, watcher: MatrixWatcher) -> None:
        self._cell = cell
        self._watcher = watcher

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:  # noqa: ARG002 -- a row of a table has no room for counts
        """A stage begins."""
        self._watcher.stage(self._cell, name, quiet=quiet)

    def advance(self, share: float, words: str = "") -> None:
        """A share of it is done."""
        self._watcher.advance(self._cell, share, words)

    def note(self, text: str) -> None:
        """One sentence that stays on the screen."""
        self._watcher.note(self._cell, text)
