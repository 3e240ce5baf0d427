"""Copies of a model at work at once: what they did together, beside one alone.

In: a verification. Out: sentences for every rendering, and a paragraph for the terminal.
"""

from typing import TYPE_CHECKING, Final

from deployopt.core.figure import Figure
from deployopt.core.result import VerifyResult
from deployopt.core.units import Dimension
from deployopt.reports.layout import footnotes, heading
from deployopt.reports.words import (
    evidence_words,
    sentences,
    show_count,
    show_figure,
    show_interval,
    tail_word,
)

if TYPE_CHECKING:
    from rich.console import Console

COPIES_TITLE: Final = "Copies at once"


def copies_notes(result: VerifyResult) -> list[str]:
    """What copies at once did, whole sentences; none where none were asked."""
    found = result.copies
    if found is None:
        return []
    if found.latency is None:
        return [sentences(f"{show_count(found.copies)} copies at once: {found.reason}")]
    latency, alone = found.latency, result.latency
    rate = show_figure(latency.throughput, Dimension.RATE)
    where = evidence_words(latency.median.evidence)
    more = _times(latency.throughput, None if alone is None else alone.throughput)
    notes = [f"{show_count(found.copies)} copies at once, {where}: {rate} together{more}."]
    tail = show_figure(latency.tail, Dimension.TIME)
    bounds = show_interval(latency.tail, Dimension.TIME)
    memory = show_figure(found.memory, Dimension.SIZE)
    notes.append(
        f"A request of any of them: {show_figure(latency.median, Dimension.TIME)} in the median, "
        f"{tail_word(latency)} {tail}{f' ({bounds})' if bounds else ''}; memory {memory}."
    )
    if found.outcome is not None:
        words = {"accepted": "are kept", "rejected": "are not kept"}.get(
            found.outcome.value, "are neither kept nor missed for certain"
        )
        why = "" if found.outcome.value == "accepted" else f": {found.reason}"
        notes.append(f"The latency budgets {words} meanwhile{why}.")
    return notes


def print_copies(console: "Console", result: VerifyResult) -> None:
    """A paragraph under a heading; nothing where none were asked."""
    notes = copies_notes(result)
    if notes:
        heading(console, COPIES_TITLE)
        footnotes(console, notes)


def _times(together: Figure | None, alone: Figure | None) -> str:
    """`, 3.9 x one alone`: of two measurements one after the other."""
    if together is None or alone is None or not together.value or not alone.value:
        return ""
    return f", {together.value / alone.value:.2g} x what one alone did before"
