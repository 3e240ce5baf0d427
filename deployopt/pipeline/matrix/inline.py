"""The executor that builds one cell after another in this process.

A cell that crashes the interpreter ends the call; the next call goes on after the cells that were
finished. Use it to debug, or where no other process may be started.
"""

from collections.abc import Generator, Sequence

from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher


class Inline:
    """One at a time."""

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """In the order given."""
        from deployopt.pipeline.matrix.cell import run_cell  # light until something is built

        for cell in cells:
            watcher.began(cell.name.id)
            yield run_cell(cell, Told(cell.name.id, watcher))


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
