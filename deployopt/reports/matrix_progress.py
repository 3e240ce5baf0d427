"""Progress of a matrix on stderr: what runs where at a terminal, a line a finished cell elsewhere.

No thread of its own: it draws when it is told something, at most ten times a second, and while
anything is timed only when a stage begins or ends.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from deployopt.core.matrix import CellResult
from deployopt.core.text import safe_text
from deployopt.reports.layout import stderr_console, styled
from deployopt.reports.matrix import cell_line, style_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_NAME: Final = 24
_WORDS: Final = 40
_AT_MOST_EVERY_NS: Final = 100_000_000


class MatrixProgress:
    """A MatrixWatcher, used as a context."""

    def __init__(
        self, console: "Console | None" = None, clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._console = console or stderr_console()
        self._clock = clock
        self._bars: Progress | None = _bars(self._console) if self._console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, str] = {}
        self._quiet: set[str] = set()
        self._all: TaskID | None = None
        self._total = self._ended = 0
        self._drawn = 0

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is None:
            return
        for task in self._tasks.values():
            self._bars.update(task, visible=False)
        self._bars.refresh()
        self._bars.stop()

    def planned(self, total: int, reused: int) -> None:
        """So many cells in all, of which so many need nothing."""
        self._total, self._ended = total, reused
        if self._bars is None:
            self._console.print(styled(f"{total} cells, {reused} of them done"))
            return
        self._all = self._bars.add_task("all cells", total=total, completed=reused, words="")
        self._draw(now=True)

    def began(self, cell: str) -> None:
        """Somebody works on it now."""
        if self._bars is not None and cell not in self._tasks:
            name = safe_text(cell, _NAME)
            self._tasks[cell] = self._bars.add_task(name, total=1.0, words="begins")
            self._draw(now=True)

    def stage(self, cell: str, name: str, *, quiet: bool) -> None:
        """It came to this stage."""
        self._stages[cell] = safe_text(name, _WORDS)
        if quiet:
            self._quiet.add(cell)
        else:
            self._quiet.discard(cell)
        self._show(cell, 0.0, "timed, alone" if quiet else "")
        self._draw(now=True)

    def advance(self, cell: str, share: float, words: str) -> None:
        """A share of the stage is done."""
        self._show(cell, share, words)
        self.tick()

    def note(self, cell: str, text: str) -> None:
        """One sentence that stays on the screen."""
        console = self._bars.console if self._bars is not None else self._console
        console.print(styled(safe_text(f"{cell}: {text}")))

    def ended(self, result: CellResult) -> None:
        """It is done."""
        cell = result.name.id
        self._ended += 1
        self._quiet.discard(cell)
        task = self._tasks.pop(cell, None)
        line = styled(cell_line(result), style_of(result.word.value))
        if self._bars is None:
            self._console.print(line)
            return
        if task is not None:
            self._bars.remove_task(task)
        self._bars.console.print(line)
        if self._all is not None:
            self._bars.update(self._all, completed=self._ended)
        self._draw(now=True)

    def tick(self) -> None:
        """Time has passed."""
        if not self._quiet:
            self._draw(now=False)

    def _show(self, cell: str, share: float, words: str) -> None:
        task = self._tasks.get(cell)
        if self._bars is not None and task is not None:
            stage = self._stages.get(cell, "")
            shown = safe_text(" · ".join(part for part in (stage, words) if part), _WORDS)
            self._bars.update(task, completed=min(1.0, max(0.0, share)), words=shown)

    def _draw(self, *, now: bool) -> None:
        if self._bars is None:
            return
        if now or self._clock() - self._drawn >= _AT_MOST_EVERY_NS:
            self._drawn = self._clock()
            self._bars.refresh()


def _bars(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    def column(width: int) -> Column:
        return Column(width=width, no_wrap=True, overflow="ellipsis")

    return Progress(
        TextColumn("{task.description}", markup=False, table_column=column(_NAME)),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[words]}", markup=False, table_column=column(_WORDS)),
        console=console,
        auto_refresh=False,
        transient=True,
    )
