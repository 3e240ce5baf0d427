"""Progress of a long command on stderr: a bar a stage at a terminal, a line a stage elsewhere.

In: the pipeline's calls of a Watcher. While a stage is quiet (something is being timed) nothing is
drawn but what the pipeline itself reports, so that no thread runs beside the measurement.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import stderr_console, styled
from deployopt.reports.progress_columns import text_column

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_NAME: Final = 24
_WORDS: Final = 26
_TICK_S: Final = 0.5
_AT_MOST_EVERY_NS: Final = 100_000_000


class TerminalProgress:
    """A Watcher, used as a context: `with TerminalProgress() as watcher:`."""

    def __init__(
        self, console: "Console | None" = None, clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._console = console or stderr_console()
        self._clock = clock
        self._bars: Progress | None = _bars(self._console) if self._console.is_terminal else None
        self._task: TaskID | None = None
        self._name: str | None = None
        self._total: int | None = None
        self._words = ""
        self._began = self._drawn = 0
        self._quiet = False
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish(done=kind is None)
        self._ended.set()
        if self._ticker is not None:
            self._ticker.join()
        if self._bars is not None:
            self._bars.stop()

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        """Close the stage before and open this one."""
        self._finish(done=True)
        self._name, self._total, self._words = safe_text(name, _NAME), total, ""
        self._began = self._clock()
        self._quiet = quiet
        if self._bars is not None:
            self._task = self._bars.add_task(self._name, total=None, mark=" ", words="")
            self._bars.refresh()

    def advance(self, share: float, words: str = "") -> None:
        """Move the bar; drawn at most ten times a second."""
        self._words = safe_text(words, _WORDS)
        if self._bars is None or self._task is None:
            return
        count = f"{round(share * self._total)} of {self._total} " if self._total else ""
        shown = safe_text(f"{count}{self._words}", _WORDS)
        self._bars.update(self._task, total=1.0, completed=min(1.0, max(0.0, share)), words=shown)
        if self._clock() - self._drawn >= _AT_MOST_EVERY_NS or share >= 1:
            self._drawn = self._clock()
            self._bars.refresh()

    def note(self, text: str) -> None:
        """A sentence above the bars."""
        console = self._bars.console if self._bars is not None else self._console
        console.print(styled(safe_text(text)))

    def _finish(self, *, done: bool) -> None:
        if self._name is None:
            return
        took = show_quantity((self._clock() - self._began) / 1e9, Dimension.TIME)
        mark = "✓" if done else "✗"
        if self._bars is None or self._task is None:
            line = f"{mark} {self._name}  {took}  {self._words}".rstrip()
            self._console.print(styled(line))
        elif done:
            self._bars.update(self._task, total=1.0, completed=1.0, mark=mark, words=self._words)
        else:
            self._bars.update(self._task, mark=mark)
        if self._bars is not None and self._task is not None:
            self._bars.stop_task(self._task)
            self._bars.refresh()
        self._name = self._task = None

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_S):
            if self._bars is not None and not self._quiet:
                self._bars.refresh()


def _bars(console: "Console") -> "Progress":
    from rich.progress import BarColumn, Progress, TimeElapsedColumn

    return Progress(
        text_column("{task.fields[mark]}", 1),
        text_column("{task.description}", _NAME),
        BarColumn(bar_width=16),
        text_column("{task.fields[words]}", _WORDS),
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,
        transient=False,
    )
