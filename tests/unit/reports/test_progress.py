"""Progress: lines where nobody looks, bars at a terminal, silence while something is timed."""

import io
import threading

import pytest
from rich.console import Console

from deployopt.reports.progress import TerminalProgress


class FakeClock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def text_of(made: Console) -> str:
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def test_a_log_holds_a_line_a_stage() -> None:
    made, clock = Console(file=io.StringIO(), width=80), FakeClock()
    with TerminalProgress(made, clock) as watcher:
        watcher.stage("export")
        clock.now += 6_200_000_000
        watcher.advance(1.0, "from the store")
        watcher.stage("measure", 48, quiet=True)
        watcher.note("Round 3 is void.\x1b[2J")
        clock.now += 1_500_000_000
    assert text_of(made).splitlines() == [
        "✓ export  6.20 s  from the store",
        "Round 3 is void.[2J",
        "✓ measure  1.50 s",
    ]


def test_a_terminal_shows_words_and_counts() -> None:
    made, clock = Console(file=io.StringIO(), width=80, force_terminal=True), FakeClock()
    with TerminalProgress(made, clock) as watcher:
        watcher.stage("measure [red]", 48, quiet=True)
        clock.now += 10**9
        watcher.advance(0.5, "int8-dynamic")
        clock.now += 10**9
        watcher.advance(1.0, "::error::x")
    assert "24 of 48 int8-dynamic" in text_of(made)
    assert "measure [red]" in text_of(made)
    assert "::" not in text_of(made)


def test_a_stage_that_failed_is_marked() -> None:
    made = Console(file=io.StringIO(), width=80)

    def interrupted() -> None:
        with TerminalProgress(made) as watcher:
            watcher.stage("quantize")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert text_of(made).startswith("✗ quantize")


def test_no_thread_is_left_and_none_draws_while_quiet() -> None:
    before = threading.active_count()
    made = Console(file=io.StringIO(), width=80, force_terminal=True)
    with TerminalProgress(made) as watcher:
        watcher.stage("measure", quiet=True)
        drawn = len(text_of(made))
        threading.Event().wait(0.7)
        assert len(text_of(made)) == drawn
        watcher.stage("export")
        drawn = len(text_of(made))
        threading.Event().wait(0.7)
        assert len(text_of(made)) > drawn
    assert threading.active_count() == before
