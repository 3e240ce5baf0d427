"""Candidates and checks as terminal tables: the two places where most numbers stand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.evidence import Evidence
from deployopt.core.result import CandidateResult
from deployopt.core.text import safe_text
from deployopt.core.verdict import Check, Verdict
from deployopt.reports.cells import Cell, cells, generates, heads
from deployopt.reports.foremost import foremost
from deployopt.reports.layout import STYLES, at_commas, columns, joined, listing, styled
from deployopt.reports.words import (
    MARKS,
    NOTHING,
    check_notes,
    check_word,
    dimension_of,
    evidence_words,
    metric_words,
    plural,
    sentences,
    show,
    show_bounds,
    show_count,
    show_limit,
    steps_words,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_MANY: Final = 4
"""Candidates above which the terminal tells only the steps of the one chosen."""


def print_candidates(console: "Console", candidates: Sequence[CandidateResult]) -> None:
    """One row each, or of the foremost: quality, times, memory, size; then the reasons."""
    language = generates(candidates)
    table = columns(("", 1), *heads(candidates))
    width = heads(candidates)[0][1]
    shared = _shared_evidence(candidates, language=language)
    shown = [candidates[place] for place in foremost(candidates)]
    for item in shown:
        table.add_row(*_candidate_row(item, shared, width, language=language))
    console.print(table)
    if len(shown) < len(candidates):
        left = show_count(len(candidates) - len(shown))
        console.print(styled(f"  and {left} more, slower or beaten, in the page", "dim"))
    for line in _evidence_lines(shared):
        console.print(styled(f"  {line}", "dim"))
    console.print()
    many = len(candidates) > _MANY
    listing(
        console,
        ((c.recipe, _story(c, with_steps=c.chosen or not many)) for c in shown),
        width,
    )


def print_checks(console: "Console", verdict: Verdict) -> None:
    """One row a budget, then what is to be said of those that are not accepted."""
    table = columns(
        ("", 1),
        ("budget", 14),
        ("limit", 8),
        ("observed", 8),
        ("bounds", 18),
        ("evidence", 13),
        ("outcome", 11),
    )
    for check in verdict.checks:
        table.add_row(*_check_row(check))
    console.print(table)
    notes = check_notes(verdict)
    if notes:
        console.print()
        listing(console, notes, 14)


def _candidate_row(
    item: CandidateResult, shared: dict[str, Evidence | None], width: int, *, language: bool
) -> "list[Text]":
    mark = "●" if item.chosen else "✗" if item.failure else " "
    made = cells(item, language=language)
    if item.failure is not None:
        shown = [styled("failed", "red"), *(styled(NOTHING, "dim") for _ in made[1:])]
    else:
        shown = [_cell(one, with_evidence=shared[one.name] is None) for one in made]
    name = styled(at_commas(item.recipe, width), "bold" if item.chosen else "")
    if item.precision is not None and item.precision.value not in item.recipe:
        name.append(f"\n{item.precision.value}", style="dim")
    return [styled(mark, "bold green" if item.chosen else "red"), name, *shown]


def _cell(one: Cell, *, with_evidence: bool) -> "Text":
    lines = one.lines
    if with_evidence and one.evidence is not None:
        lines.append(evidence_words(one.evidence))
    cell = styled(lines[0])
    for line in lines[1:]:
        cell.append(f"\n{line}", style="dim")
    return cell


def _shared_evidence(
    candidates: Sequence[CandidateResult], *, language: bool
) -> dict[str, Evidence | None]:
    """The evidence of a whole column, or None where its cells differ."""
    found: dict[str, set[Evidence]] = {}
    for item in candidates:
        for one in cells(item, language=language):
            kinds = {one.evidence} if one.evidence is not None else set()
            found.setdefault(one.name, set()).update(kinds)
    return {name: next(iter(k)) if len(k) == 1 else None for name, k in found.items()}


def _evidence_lines(shared: dict[str, Evidence | None]) -> list[str]:
    """`accuracy, latency, memory: measured here (proxy)`."""
    kinds = dict.fromkeys(e for e in shared.values() if e is not None)
    names = {e: ", ".join(n for n in shared if shared[n] is e) for e in kinds}
    parts = [f"{names[e]}: {evidence_words(e)}" for e in kinds]
    lines = joined([*parts, "bounds are one-sided, 95 % each"], " · ", 78).splitlines()
    return lines if parts else []


def _story(item: CandidateResult, *, with_steps: bool) -> str:
    if item.failure is not None:
        return sentences(item.reason, f"failed: {item.failure}")
    rounds = item.latency.rounds if item.latency else ()
    void = sum(r.void is not None for r in rounds)
    told = f" {void} of {plural(len(rounds), 'round')} void." if void else ""
    steps = f"\n{joined(steps_words(item.steps), ' → ', 54)}" if item.steps and with_steps else ""
    return f"{sentences(item.reason, item.why)}{told}{steps}".strip()


def _check_row(check: Check) -> "list[Text]":
    word = check_word(check)
    dimension = dimension_of(check.metric)
    style = STYLES[word]
    return [
        styled(MARKS[word], style),
        styled(safe_text(metric_words(check.metric), 40)),
        styled(show_limit(check.limit, dimension)),
        styled(show(check.observed, dimension)),
        styled(show_bounds(check.lower, check.upper, dimension) or NOTHING),
        styled(evidence_words(check.evidence), "dim"),
        styled(word, style),
    ]
