"""Throughput against batch: a row a size, and what follows from it.

In: the sweep of a verification. Out: rows for every rendering, and a table for the terminal.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from deployopt.core.evidence import Evidence
from deployopt.core.result import BatchSweep, LoadFigures
from deployopt.core.units import Dimension
from deployopt.reports.layout import columns, footnotes, heading, styled
from deployopt.reports.markdown_text import escape, table
from deployopt.reports.words import (
    MARKS,
    NOTHING,
    budget_words,
    evidence_words,
    sentences,
    show_count,
    show_figure,
    show_interval,
    tail_word,
)

if TYPE_CHECKING:
    from rich.console import Console

_WIDTHS: Final = (7, 10, 10, 19, 10, 9)


def batches_title(sweep: BatchSweep) -> str:
    """What the table is of, and where it was measured."""
    return f"By batch, {evidence_words(_evidence(sweep))}"


def batches_heads(sweep: BatchSweep) -> tuple[str, ...]:
    """The columns' names; latencies are those of a whole request."""
    tail = next((tail_word(o.latency) for o in sweep.figures if o.latency is not None), "p95")
    return ("batch", "p50", tail, "bounds", "/s", "memory")


def batches_rows(sweep: BatchSweep) -> Iterator[tuple[str, ...]]:
    """A text a column; the first has the mark of the latency budgets' outcome."""
    for one in sweep.figures:
        mark = "" if one.outcome is None else f"{MARKS[one.outcome.value]} "
        found = one.latency
        if found is None:
            yield f"{mark}{one.batch}", "failed", NOTHING, NOTHING, NOTHING, NOTHING
            continue
        yield (
            f"{mark}{one.batch}",
            show_figure(found.median, Dimension.TIME),
            show_figure(found.tail, Dimension.TIME),
            show_interval(found.tail, Dimension.TIME) or NOTHING,
            show_figure(found.throughput, Dimension.RATE).removesuffix(" /s"),
            show_figure(one.memory, Dimension.SIZE),
        )


def batches_notes(sweep: BatchSweep) -> list[str]:
    """What follows, whole sentences."""
    notes = []
    if sweep.budgets:
        limits = " and ".join(budget_words(b.metric, b.limit) for b in sweep.budgets)
        found = "none of these batches does"
        if sweep.largest is not None:
            found = f"the largest batch that does is {show_count(sweep.largest)}"
        notes.append(f"To keep {limits} for a whole request, with its bounds: {found}.")
    elif _evidence(sweep) is Evidence.PROXY:
        notes.append("Budgets on time are the target's: nothing here keeps or misses them.")
    fastest = next((o for o in sweep.figures if o.batch == sweep.fastest), None)
    if fastest is not None and fastest.latency is not None:
        rate = show_figure(fastest.latency.throughput, Dimension.RATE)
        notes.append(f"Most throughput: {rate} at batch {show_count(fastest.batch)}.")
    last = sweep.figures[-1]
    if _open(last):
        notes.append(f"Batch {show_count(last.batch)}: {sentences(last.reason)}")
    if sweep.left_out:
        sizes = ", ".join(map(show_count, sweep.left_out))
        notes.append(f"Left out, as they are larger still: {sizes}.")
    notes.append(
        "Answers were judged at the workload's batch alone; a target file with another `batch` "
        "under [workload] has them judged there."
    )
    return notes


def print_batches(console: "Console", sweep: BatchSweep | None) -> None:
    """The table at 80 columns, and its notes."""
    if sweep is None:
        return
    heading(console, batches_title(sweep))
    grid = columns(*zip(batches_heads(sweep), _WIDTHS, strict=True))
    for row in batches_rows(sweep):
        grid.add_row(*(styled(text) for text in row))
    console.print(grid)
    footnotes(console, batches_notes(sweep))


def batches_lines(sweep: BatchSweep | None) -> Iterator[str]:
    """As Markdown."""
    if sweep is None:
        return
    yield f"{batches_title(sweep)}:"
    yield ""
    yield from table(batches_heads(sweep), list(batches_rows(sweep)))
    yield ""
    yield from (f"- {escape(note)}" for note in batches_notes(sweep))
    yield ""


def _open(one: LoadFigures) -> bool:
    """Whether its outcome wants a reason."""
    return bool(one.reason) and (one.latency is None or one.outcome not in {None, "accepted"})


def _evidence(sweep: BatchSweep) -> Evidence | None:
    found = (one.latency.median.evidence for one in sweep.figures if one.latency is not None)
    return next(found, None)
