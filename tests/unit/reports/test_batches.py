"""Throughput against batch, in every rendering."""

import io

import msgspec
import pytest
from rich.console import Console

from deployopt.core.budget import parse_budget
from deployopt.core.result import BatchSweep, LoadFigures
from deployopt.core.summaries import latency_summary, memory_figure
from deployopt.core.verdict import Outcome
from deployopt.reports.batches import (
    batches_heads,
    batches_notes,
    batches_rows,
    batches_title,
    print_batches,
)
from deployopt.reports.copies import copies_notes
from deployopt.reports.html import build_page
from deployopt.reports.markdown import verify_markdown
from deployopt.reports.terminal import print_verify
from tests.fakes.results import build_result, trial, verify_result


def figures(batch: int, seconds: float, outcome: Outcome | None) -> LoadFigures:
    found = msgspec.structs.replace(trial("int8", seconds, rounds=5, proxy=False), batch=batch)
    return LoadFigures(
        batch=batch,
        latency=latency_summary(found, 0.95),
        memory=memory_figure(found),
        outcome=outcome,
        reason="120 of 120 requests over 60 ms" if outcome is Outcome.REJECTED else "",
    )


SWEEP = BatchSweep(
    figures=(
        figures(1, 0.0151, Outcome.ACCEPTED),
        figures(4, 0.0482, Outcome.ACCEPTED),
        figures(1024, 11.31, Outcome.REJECTED),
    ),
    budgets=(parse_budget("latency_p95", "60 ms"),),
    largest=4,
    fastest=1024,
    left_out=(2048, 4096),
)


def shown(sweep: BatchSweep | None) -> str:
    file = io.StringIO()
    print_batches(Console(file=file, width=80, highlight=False, markup=False), sweep)
    return file.getvalue()


def test_a_row_for_each_size() -> None:
    rows = list(batches_rows(SWEEP))
    assert [row[0] for row in rows] == ["✓ 1", "✓ 4", "✗ 1024"]
    assert all(len(row) == len(batches_heads(SWEEP)) for row in rows)
    assert rows[1][1].endswith(" ms")
    assert rows[1][4] == "83.6"
    assert batches_heads(SWEEP)[2] == "p95"
    assert batches_title(SWEEP) == "By batch, measured on target"


def test_the_terminal_keeps_to_80_columns() -> None:
    text = shown(SWEEP)
    assert max(map(len, text.splitlines())) <= 80
    assert "the largest batch that does is 4" in " ".join(text.split())
    assert shown(None) == ""


@pytest.mark.parametrize(
    "part",
    [
        "To keep latency p95 ≤ 60 ms for a whole request",
        "Most throughput: ",
        "at batch 1\u00a0024",
        "Batch 1\u00a0024: 120 of 120 requests over 60 ms.",
        "Left out, as they are larger still: 2\u00a0048, 4\u00a0096.",
        "judged at the workload's batch alone",
    ],
)
def test_what_follows(part: str) -> None:
    assert part in " ".join(batches_notes(SWEEP))


def test_without_a_budget_and_with_a_failure() -> None:
    failed = LoadFigures(batch=2, outcome=Outcome.REJECTED, reason="the model was killed")
    bare = BatchSweep(figures=(figures(1, 0.01, None), failed), fastest=1)
    notes = " ".join(batches_notes(bare))
    assert "To keep" not in notes
    assert "Batch 2: The model was killed." in notes
    assert list(batches_rows(bare))[1] == ("✗ 2", "failed", "—", "—", "—", "—")
    none = msgspec.structs.replace(SWEEP, largest=None)
    assert "none of these batches does" in " ".join(batches_notes(none))


def test_on_another_machine_budgets_on_time_say_nothing() -> None:
    found = msgspec.structs.replace(trial("int8", 0.01, rounds=5), batch=1)
    proxy = LoadFigures(batch=1, latency=latency_summary(found, 0.95))
    notes = " ".join(batches_notes(BatchSweep(figures=(proxy,), fastest=1)))
    assert "nothing here keeps or misses them" in notes


def copies(outcome: Outcome | None, reason: str = "") -> LoadFigures:
    found = figures(1, 0.0101, outcome)
    return LoadFigures(
        batch=1,
        copies=4,
        latency=found.latency,
        memory=found.memory,
        outcome=outcome,
        reason=reason,
    )


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.ACCEPTED, "The latency budgets are kept meanwhile."),
        (Outcome.REJECTED, "are not kept meanwhile: 9 of 99 requests over."),
        (Outcome.UNDECIDED, "are neither kept nor missed for certain meanwhile: 9 of"),
    ],
)
def test_copies_are_told_together_and_beside_one_alone(outcome: Outcome, told: str) -> None:
    reason = "" if outcome is Outcome.ACCEPTED else "9 of 99 requests over"
    result = msgspec.structs.replace(verify_result(), copies=copies(outcome, reason))
    text = " ".join(copies_notes(result))
    assert text.startswith("4 copies at once, measured on target: ")
    assert "1.5 x what one alone did before" in text
    assert told in text
    assert copies_notes(verify_result()) == []


def test_copies_that_failed_and_such_without_a_budget() -> None:
    failed = LoadFigures(batch=1, copies=2, outcome=Outcome.REJECTED, reason="the model was killed")
    found = copies_notes(msgspec.structs.replace(verify_result(), copies=failed))
    assert found == ["2 copies at once: the model was killed."]
    free = copies_notes(msgspec.structs.replace(verify_result(), copies=copies(None)))
    assert "budgets" not in " ".join(free)


def test_it_stands_in_every_rendering() -> None:
    beside = copies(Outcome.ACCEPTED)
    result = msgspec.structs.replace(verify_result(), batches=SWEEP, copies=beside)
    file = io.StringIO()
    print_verify(result, Console(file=file, width=80, highlight=False, markup=False))
    page = build_page(build_result(), verifications=(result,)).decode()
    for text in (file.getvalue(), verify_markdown(result), page):
        assert "By batch, measured on target" in text
        assert "Most throughput" in text
        assert "4 copies at once" in text
    assert max(map(len, file.getvalue().splitlines())) <= 80
    plain = build_page(build_result(), verifications=(verify_result(),)).decode()
    assert "By batch" not in plain
    assert "at once" not in plain
