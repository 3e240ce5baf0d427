"""Lines in a log; at a terminal what runs where, and nothing by itself while anything is timed."""

import io
from pathlib import Path

from rich.console import Console
from rich.text import Text

from deployopt.reports.matrix_progress import MatrixProgress
from tests.fakes.matrices import matrix_of


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_holds_a_line_a_cell(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    seconds = iter(range(100))
    with MatrixProgress(console, lambda: next(seconds) * 10**9) as watcher:
        watcher.planned(3, 1)
        watcher.began("a-rpi4")
        watcher.stage("a-rpi4", "Build", quiet=False)
        watcher.advance("a-rpi4", 0.5, "half")
        watcher.note("a-rpi4", "Recipe int8 failed.\x1b[2J")
        watcher.ended(matrix_of(tmp_path).cells[0])
    assert text_of(console).splitlines() == [
        "3 cells, 1 of them done",
        "a-rpi4: Recipe int8 failed.[2J",
        "✓ a-rpi4  accepted  int8  12.0 s  2 of 3",
    ]


def test_a_terminal_is_still_while_a_cell_is_timed(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    now = 0

    def clock() -> int:
        nonlocal now
        now += 10**9
        return now

    with MatrixProgress(console, clock) as watcher:
        watcher.planned(3, 0)
        watcher.began("a-rpi4")
        watcher.began("b-rpi4")
        watcher.stage("b-rpi4", "Build int8", quiet=False)
        watcher.advance("b-rpi4", 0.5, "[red]export")
        assert "Build int8 · [red]export" in text_of(console)
        watcher.stage("a-rpi4", "Latency", quiet=True)
        drawn = len(text_of(console))
        watcher.advance("b-rpi4", 0.6, "quantize")
        watcher.tick()
        assert len(text_of(console)) == drawn
        watcher.stage("a-rpi4", "Publish", quiet=False)
        watcher.tick()
        assert len(text_of(console)) > drawn
        watcher.ended(matrix_of(tmp_path).cells[0])
    assert "✓ a-rpi4" in text_of(console)


def test_memory_place_and_time_left_stand_above_the_cells(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    now = iter(range(0, 10**12, 10**9))
    with MatrixProgress(console, lambda: next(now)) as watcher:
        watcher.planned(4, 1, [60.0, 60.0, None])
        watcher.load(2 * 2**30, 4 * 2**30)
        watcher.began("a-rpi4", "node-1")
        assert "node-1 · begins" in text_of(console)
        assert "left, as predicted" in text_of(console)
        assert "2.1 GB in use, 4.3 GB admitted" in text_of(console) or "GiB" in text_of(console)
        for cell in matrix_of(tmp_path).cells[:2]:
            watcher.ended(cell)
        assert "3 of 4" in text_of(console)
        assert "by the mean of 2" in text_of(console)
    longest = max(len(line) for line in Text.from_ansi(text_of(console)).plain.splitlines())
    assert longest <= 80
