"""A comparison for a person at a terminal of 80 columns, on stderr.

In: a result record. Out: text; what changed comes first, the outcome last, where the eye is.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from deployopt.core.comparison import Change, Comparison, Difference, FailOn
from deployopt.core.result import CompareResult
from deployopt.core.text import safe_record, safe_text
from deployopt.core.verdict import Outcome
from deployopt.reports import comparison_words as words
from deployopt.reports.layout import (
    STYLES,
    WIDTH,
    columns,
    facts,
    heading,
    joined,
    listing,
    stderr_console,
    styled,
)
from deployopt.reports.words import machine_words, stage_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_ASPECT: Final = 14
_LENIENT: Final = "Undecided passes here: --fail-on regression was given."


def print_compare(result: CompareResult, console: "Console | None" = None) -> None:
    """Which two, where, what changed, and whether the new one may follow the old one."""
    console = console or stderr_console()
    result = safe_record(result)
    found = result.comparison
    title = f"{found.new.name} against {found.old.name}"
    console.print(styled(safe_text(title, WIDTH - 2), "bold"))
    facts(console, _facts(result))
    heading(console, "Changed")
    print_differences(console, found)
    console.print()
    _print_outcome(console, found)
    console.print()
    times = stage_words(result.stages)
    console.print(styled(joined([*times, f"exit {result.exit_code}"], " · ", WIDTH), "dim"))
    if found.outcome is Outcome.UNDECIDED and result.fail_on is FailOn.REGRESSION:
        console.print(styled(_LENIENT, "dim"))


def print_baseline(console: "Console", found: Comparison) -> None:
    """The part of a build's report: the chosen one against an earlier bundle."""
    heading(console, safe_text(f"Against the baseline {found.old.bundle or found.old.name}", 400))
    print_differences(console, found)
    console.print()
    _print_outcome(console, found)
    for note in found.notes:
        console.print(styled(note, "dim"))


def print_differences(console: "Console", found: Comparison) -> None:
    """One row an aspect, then what is to be said of those that are not simply good."""
    table = columns(
        ("", 1),
        ("what", _ASPECT),
        ("old", 9),
        ("new", 9),
        ("change", 9),
        ("bounds", 18),
        ("outcome", 11),
    )
    for difference in found.differences:
        table.add_row(*_row(difference))
    console.print(table)
    bounds = "bounds are one-sided, 95 % over all looks"
    for line in joined([*words.evidence_lines(found), bounds], " · ", WIDTH - 2).splitlines():
        console.print(styled(f"  {line}", "dim"))
    notes = words.notes_of(found)
    if notes:
        console.print()
        listing(console, notes, _ASPECT)


def _facts(result: CompareResult) -> Iterator[tuple[str, str]]:
    found = result.comparison
    yield "Old", f"{found.old.bundle or NAMELESS}\n{words.side_words(found.old)}"
    yield "New", f"{found.new.bundle or NAMELESS}\n{words.side_words(found.new)}"
    yield "Margins", words.margin_words(found)
    yield "Machine", machine_words(found.machine)
    yield "Measured", f"on {words.place_words(found)}; {words.rounds_words(found)}"
    yield from (("Note", note) for note in found.notes)
    yield from (("Warning", warning) for warning in result.warnings)


NAMELESS: Final = "not published"


def _row(difference: Difference) -> "list[Text]":
    style = STYLES[words.style_of(difference)]
    plain = difference.outcome in {Change.SAME, Change.CHANGED}
    return [
        styled(words.change_mark(difference), "dim" if plain else style),
        styled(words.aspect_words(difference)),
        styled(words.old_words(difference)),
        styled(words.new_words(difference)),
        styled(words.change_words(difference)),
        styled(words.bounds_words(difference), "dim"),
        styled(words.change_word(difference), "" if plain else style),
    ]


def _print_outcome(console: "Console", found: Comparison) -> None:
    line = styled(found.outcome.value.upper(), STYLES[found.outcome.value])
    console.print(line.append(f"  {words.in_short(found)}", style="not bold default"))
    for reason in found.reasons:
        console.print(reason)
