"""Candidates and checks as terminal tables: the two places where most numbers stand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.evidence import Evidence
from deployopt.core.result import CandidateResult
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension
from deployopt.core.verdict import Check, Verdict
from deployopt.reports.foremost import foremost
from deployopt.reports.layout import STYLES, at_commas, columns, joined, listing, styled
from deployopt.reports.words import (
    MARKS,
    NOTHING,
    check_notes,
    check_word,
    dimension_of,
    evidence_words,
    loss_words,
    metric_words,
    plural,
    sentences,
    show,
    show_bounds,
    show_count,
    show_figure,
    show_interval,
    show_limit,
    show_ratio,
    show_times_bounds,
    steps_words,
    tail_word,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_RECIPE: Final = 19
_MANY: Final = 4
"""Candidates above which the terminal tells only the steps of the one chosen."""
_MEASURES: Final = ("accuracy", "latency", "memory", "size")


def print_candidates(console: "Console", candidates: Sequence[CandidateResult]) -> None:
    """One row each, or of the foremost: loss, latency, memory, size; then the reasons."""
    loss = next((loss_words(c.accuracy) for c in candidates if c.accuracy), "accuracy lost")
    tail = next((tail_word(c.latency) for c in candidates if c.latency), "")
    table = columns(
        ("", 1),
        ("recipe", _RECIPE),
        (loss, 17),
        (f"latency {tail}".strip(), 22),
        ("memory", 8),
        ("size", 8),
    )
    shared = _shared_evidence(candidates)
    shown = [candidates[place] for place in foremost(candidates)]
    for item in shown:
        table.add_row(*_candidate_row(item, shared))
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
        _RECIPE,
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


def _candidate_row(item: CandidateResult, shared: dict[str, Evidence | None]) -> "list[Text]":
    mark = "●" if item.chosen else "✗" if item.failure else " "
    if item.failure is not None:
        cells = [styled("failed", "red"), *(styled(NOTHING, "dim") for _ in range(3))]
    else:
        cells = [
            _cell(lines, shared[name] is None and found is not None)
            for name, lines, found in zip(
                _MEASURES, _measures(item), _evidence_of(item), strict=True
            )
        ]
    name = styled(at_commas(item.recipe, _RECIPE), "bold" if item.chosen else "")
    if item.precision is not None and item.precision.value not in item.recipe:
        name.append(f"\n{item.precision.value}", style="dim")
    return [styled(mark, "bold green" if item.chosen else "red"), name, *cells]


def _measures(item: CandidateResult) -> tuple[list[str], ...]:
    """For each of _MEASURES the value, then what is said under it."""
    loss = item.accuracy.loss if item.accuracy else None
    tail = item.latency.tail if item.latency else None
    ratio = item.latency.ratio if item.latency else None
    found = (
        [show_figure(loss, Dimension.SHARE)],
        [show_figure(tail, Dimension.TIME)],
        [show_figure(item.memory, Dimension.SIZE)],
        [show_figure(item.size, Dimension.SIZE)],
    )
    if loss is not None:
        found[0].append(show_interval(loss, Dimension.SHARE))
    if tail is not None:
        found[1].append(show_interval(tail, Dimension.TIME))
    if ratio is not None:
        bounds = show_times_bounds(ratio.lower, ratio.upper)
        found[1].append(f"{bounds} x float" if bounds else f"{show_ratio(ratio)} float")
    for lines, evidence in zip(found, _evidence_of(item), strict=True):
        lines.append(evidence_words(evidence))
    return found


def _cell(lines: list[str], with_evidence: bool) -> "Text":  # noqa: FBT001 -- a private step
    shown = lines if with_evidence else lines[:-1]
    cell = styled(shown[0])
    for line in shown[1:]:
        if line:
            cell.append(f"\n{line}", style="dim")
    return cell


def _evidence_of(item: CandidateResult) -> tuple[Evidence | None, ...]:
    return (
        item.accuracy.loss.evidence if item.accuracy else None,
        item.latency.tail.evidence if item.latency else None,
        item.memory.evidence if item.memory else None,
        item.size.evidence if item.size else None,
    )


def _shared_evidence(candidates: Sequence[CandidateResult]) -> dict[str, Evidence | None]:
    """The evidence of a whole column, or None where its cells differ."""
    shared: dict[str, Evidence | None] = {}
    for index, name in enumerate(_MEASURES):
        kinds = {e for e in (_evidence_of(c)[index] for c in candidates) if e is not None}
        shared[name] = kinds.pop() if len(kinds) == 1 else None
    return shared


def _evidence_lines(shared: dict[str, Evidence | None]) -> list[str]:
    """`accuracy, latency, memory: measured here (proxy)`."""
    kinds = dict.fromkeys(e for e in shared.values() if e is not None)
    names = {e: ", ".join(n for n in _MEASURES if shared[n] is e) for e in kinds}
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
