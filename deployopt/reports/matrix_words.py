"""What a cell's row says, in every rendering: figures by kind, each with where it comes from."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from deployopt.core.figure import Figure
from deployopt.core.matrix import CellResult, MatrixResult
from deployopt.core.metric import METRICS, Kind
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.words import evidence_words, show_bounds, show_figure

MARKS: Final[dict[str, str]] = {
    "accepted": "✓",
    "provisional": "~",
    "undecided": "?",
    "rejected": "✗",
    "failed": "!",
}
SHOWN: Final[tuple[tuple[str, tuple[Kind, ...]], ...]] = (
    ("speed", (Kind.LATENCY, Kind.FIRST_TOKEN, Kind.THROUGHPUT, Kind.DECODE)),
    ("quality", (Kind.ACCURACY, Kind.SCORE, Kind.AGREEMENT)),
    ("memory", (Kind.MEMORY,)),
    ("size", (Kind.SIZE,)),
)
"""The columns, each with the kinds of metric that it shows the first of."""


class Shown(NamedTuple):
    """A figure of a cell; empty texts where there is none."""

    column: str
    metric: str = ""
    value: str = ""
    bounds: str = ""
    evidence: str = ""


def shown_figures(cell: CellResult) -> tuple[Shown, ...]:
    """One for each of the columns."""
    return tuple(_shown(column, kinds, cell) for column, kinds in SHOWN)


def _shown(column: str, kinds: Sequence[Kind], cell: CellResult) -> Shown:
    for kind in kinds:
        for name, figure in sorted(cell.figures.items()):
            if name in METRICS and METRICS[name].kind is kind:
                return _figure(column, name, figure, METRICS[name].dimension)
    return Shown(column)


def _figure(column: str, metric: str, figure: Figure, dimension: Dimension) -> Shown:
    return Shown(
        column=column,
        metric=metric,
        value=show_figure(figure, dimension),
        bounds=show_bounds(figure.lower, figure.upper, dimension)
        if figure.lower is not None or figure.upper is not None
        else "",
        evidence=evidence_words(figure.evidence),
    )


def took(seconds: float) -> str:
    """`12.3 s`."""
    return show_quantity(seconds, Dimension.TIME)


def count_words(result: MatrixResult) -> str:
    """`4 cells: 2 accepted, 1 rejected, 1 failed`."""
    parts = ", ".join(f"{count} {word}" for word, count in result.counts.items())
    cells = f"{result.total} cell{'' if result.total == 1 else 's'}"
    return f"{cells}: {parts}"


def work_words(result: MatrixResult) -> str:
    """What this call did, and what it did not have to do."""
    if result.total and result.reused == result.total:
        return "The same again: nothing was rebuilt, nothing was measured."
    kept = f"{result.reused} from an earlier call; " if result.reused else ""
    at_once = "one at a time" if result.jobs == 1 else f"at most {result.jobs} at a time"
    return (
        f"{kept}{result.steps_made} steps made, {result.steps_reused} found made; "
        f"{result.executor}, {at_once}, {took(result.seconds)}."
    )
