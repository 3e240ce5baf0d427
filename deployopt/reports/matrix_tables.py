"""Tables of a matrix's page: the slowest steps, and predictions beside measurements.

In: cells. Out: rows of text, the foremost of very many.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.figure import Figure
from deployopt.core.matrix import CellResult, CellStep, Word
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.matrix_words import took
from deployopt.reports.words import dimension_of, metric_words

STEPS: Final = 15
PAIRS: Final = 60
TARGETS: Final = 200
_COMPARABLE: Final = frozenset({Evidence.TARGET, Evidence.EXACT})
_DIGITS: Final = 2
_FINE: Final = 10.0
_NAME: Final = 80


class StepRow(NamedTuple):
    """One step as a cell went through it."""

    step: str
    recipe: str
    cell: str
    took: str
    how: str
    """run, or cached."""


class PairRow(NamedTuple):
    """A prediction and what was measured."""

    cell: str
    metric: str
    predicted: str
    band: str
    measured: str
    ratio: str
    inside: bool


class TargetRow(NamedTuple):
    """A target with its cells counted by word."""

    target: str
    counts: tuple[int, ...]


def slowest_steps(cells: Sequence[CellResult]) -> tuple[list[StepRow], str]:
    """The slowest that were run, then those that were found; a sentence about all."""
    made = list(_steps_of(cells))
    top = heapq.nlargest(STEPS, made, key=lambda one: (not one[1].reused, one[1].seconds))
    rows = [
        StepRow(
            step=safe_text(step.name, _NAME),
            recipe=safe_text(step.recipe, _NAME),
            cell=cell.name.id,
            took=took(step.seconds),
            how="cached" if step.reused else "run",
        )
        for cell, step in top
    ]
    run = [step for _, step in made if not step.reused]
    said = (
        f"{len(run)} steps were run, {took(sum(step.seconds for step in run))} in all; "
        f"{len(made) - len(run)} were in the store, or made by another cell meanwhile."
    )
    return rows, said if made else ""


def _steps_of(cells: Sequence[CellResult]) -> Iterator[tuple[CellResult, CellStep]]:
    """What this call went through; recipes begin alike, so that a step is often found at once."""
    for cell in cells:
        if not cell.reused:
            yield from ((cell, step) for step in cell.steps)


def predictions(cells: Sequence[CellResult]) -> tuple[list[PairRow], str]:
    """Where a figure was measured on its target: the worst ratios first, and a sentence on all."""
    found = [
        (cell, name, estimate, cell.figures[name])
        for cell in cells
        for name, estimate in sorted(cell.foreseen.items())
        if name in cell.figures and _can_compare(estimate, cell.figures[name])
    ]
    if not found:
        return [], ""
    inside = sum(_inside(estimate, figure) for _, _, estimate, figure in found)
    found.sort(key=lambda one: _distance(one[2], one[3]), reverse=True)
    rows = [_pair(cell, name, estimate, figure) for cell, name, estimate, figure in found[:PAIRS]]
    least = min(estimate.coverage for _, _, estimate, _ in found)
    said = (
        f"{inside} of {len(found)} measurements lie inside the band of their prediction; the bands "
        f"are meant to hold {least:.0%}."
    )
    return rows, said


def _can_compare(estimate: Estimate, figure: Figure) -> bool:
    known = figure.value is not None and figure.value > 0 and estimate.value > 0
    return known and figure.evidence in _COMPARABLE


def _inside(estimate: Estimate, figure: Figure) -> bool:
    return estimate.lower <= (figure.value or 0.0) <= estimate.upper


def _distance(estimate: Estimate, figure: Figure) -> float:
    ratio = (figure.value or 0.0) / estimate.value
    return max(ratio, 1 / ratio)


def _pair(cell: CellResult, name: str, estimate: Estimate, figure: Figure) -> PairRow:
    dimension = dimension_of(name) or Dimension.TIME
    value, low, high = (
        show_quantity(amount, dimension, _DIGITS)
        for amount in (estimate.value, estimate.lower, estimate.upper)
    )
    measured = figure.value or 0.0
    ratio = measured / estimate.value
    return PairRow(
        cell=cell.name.id,
        metric=metric_words(name),
        predicted=value,
        band=f"{low} to {high}",
        measured=show_quantity(measured, dimension),
        ratio=f"{ratio:.2f} x" if ratio < _FINE else f"{ratio:.0f} x",
        inside=_inside(estimate, figure),
    )


def by_target(cells: Sequence[CellResult]) -> list[TargetRow]:
    """Every target, in the order of the file, up to a bound."""
    counts: dict[str, Counter[Word]] = {}
    for cell in cells:
        counts.setdefault(cell.name.target, Counter())[cell.word] += 1
    return [
        TargetRow(safe_text(name, _NAME), tuple(found[word] for word in Word))
        for name, found in list(counts.items())[:TARGETS]
    ]
