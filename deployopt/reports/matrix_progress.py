"""Progress of a matrix on stderr: what runs where at a terminal, a line a finished cell elsewhere.

At a terminal two rows stand above the cells: how many are done and the time left, which is
predicted until some have ended, and the memory in use of what was admitted for those that run.

No thread of its own: it draws when it is told something, at most ten times a second, and while
anything is timed only when a stage begins or ends.
"""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from deployopt.core.matrix import CellResult
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import stderr_console, styled
from deployopt.reports.matrix import cell_line, style_of
from deployopt.reports.progress_columns import text_column
from deployopt.reports.time_left import TimeLeft, left_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_NAME: Final = 24
_WORDS: Final = 40
_WHERE: Final = 16
_DIGITS: Final = 2
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
        self._memory: TaskID | None = None
        self._where: dict[str, str] = {}
        self._left = TimeLeft()
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
        for task in (*self._tasks.values(), self._memory):
            if task is not None:
                self._bars.update(task, visible=False)
        self._bars.refresh()
        self._bars.stop()

    def planned(self, total: int, reused: int, expected_s: Sequence[float | None] = ()) -> None:
        """So many cells in all, of which so many need nothing; what is expected of the others."""
        self._total, self._ended = total, reused
        unknown = [None] * (total - reused)
        self._left.planned(self._now_s(), expected_s or unknown)
        if self._bars is None:
            left = left_words(self._left.at(self._now_s()))
            said = f"{total} cells, {reused} of them done"
            self._console.print(styled(f"{said}; {left}" if left else said))
            return
        self._all = self._bars.add_task("all cells", total=total, completed=reused, words="")
        self._memory = self._bars.add_task("memory", total=1.0, words="")
        self._draw(now=True)

    def began(self, cell: str, where: str = "") -> None:
        """Somebody works on it now, here or at `where`."""
        self._left.began()
        self._where[cell] = safe_text(where, _WHERE)
        if self._bars is not None and cell not in self._tasks:
            name = safe_text(cell, _NAME)
            self._tasks[cell] = self._bars.add_task(name, total=1.0, words="")
            self._stages[cell] = "begins"
            self._show(cell, 0.0, "")
            self._draw(now=True)

    def load(self, used_bytes: int, admitted_bytes: int) -> None:
        """Memory that the running cells have in use, and what was admitted for them."""
        if self._bars is None or self._memory is None:
            return
        used, admitted = (
            show_quantity(size, Dimension.SIZE, _DIGITS) for size in (used_bytes, admitted_bytes)
        )
        share = min(1.0, used_bytes / admitted_bytes) if admitted_bytes else 0.0
        words = f"{used} in use, {admitted} admitted"
        self._bars.update(self._memory, completed=share, words=words)

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
        self._left.ended()
        self._quiet.discard(cell)
        task = self._tasks.pop(cell, None)
        line = styled(cell_line(result), style_of(result.word.value))
        if self._bars is None:
            self._console.print(line.append(f"  {self._ended} of {self._total}"))
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
            parts = (self._where.get(cell, ""), self._stages.get(cell, ""), words)
            shown = safe_text(" · ".join(part for part in parts if part), _WORDS)
            self._bars.update(task, completed=min(1.0, max(0.0, share)), words=shown)

    def _draw(self, *, now: bool) -> None:
        if self._bars is None:
            return
        if now or self._clock() - self._drawn >= _AT_MOST_EVERY_NS:
            self._drawn = self._clock()
            if self._all is not None:
                self._bars.update(self._all, words=self._done_words())
            self._bars.refresh()

    def _done_words(self) -> str:
        """`3 of 12 · 12 min left, as predicted`."""
        left = left_words(self._left.at(self._now_s()))
        done = f"{self._ended} of {self._total}"
        return f"{done} · {left}" if left else done

    def _now_s(self) -> float:
        return self._clock() / 1e9


def _bars(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress

    return Progress(
        text_column("{task.description}", _NAME),
        BarColumn(bar_width=12),
        text_column("{task.fields[words]}", _WORDS),
        console=console,
        auto_refresh=False,
        transient=True,
    )
