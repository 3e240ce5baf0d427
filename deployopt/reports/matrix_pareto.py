"""For each target of a matrix: loss of accuracy against latency of what was judged, as SVG.

In: cells. Out: a drawing a target, with bounds, budgets where all cells share them, and a mark for
where a time comes from. Of very many targets and cells the first and the best are drawn, and what
is left out is said.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from deployopt.core.evidence import Evidence
from deployopt.core.figure import Figure
from deployopt.core.matrix import CellResult
from deployopt.core.metric import METRICS, Kind
from deployopt.core.text import safe_text
from deployopt.reports.pareto import Point, draw_pareto
from deployopt.reports.words import metric_words

TARGETS: Final = 12
POINTS: Final = 150
_MS: Final = 1e3
_HUNDREDTHS: Final = 1e2
MARKS: Final = {
    Evidence.EXACT: "dot",
    Evidence.TARGET: "dot",
    Evidence.PROXY: "half",
    Evidence.PREDICTED: "open",
}
"""How a point is drawn whose time comes from there."""
_NAME: Final = 60


class Front(NamedTuple):
    """A target's drawing; `notes` say what is not in it."""

    target: str
    svg: str
    notes: tuple[str, ...]


class _Axes(NamedTuple):
    kinds: tuple[Kind, Kind]
    title: str
    loss: str
    units: tuple[str, str]
    seconds: Callable[[float], float]


_AXES: Final = (
    _Axes(
        (Kind.LATENCY, Kind.ACCURACY),
        "{metric} (ms)",
        "accuracy lost (pt)",
        ("ms", "pt"),
        float,
    ),
    _Axes(
        (Kind.DECODE, Kind.SCORE),
        "time a token after the first (ms)",
        "increase of the NLL (%)",
        ("ms", "%"),
        lambda rate: 1.0 / rate,
    ),
)


class _Judged(NamedTuple):
    """A cell with the figures that it is drawn by."""

    cell: CellResult
    metrics: tuple[str, str]
    time: Figure
    loss: Figure


def fronts(cells: Sequence[CellResult]) -> tuple[list[Front], int]:
    """The drawings of the first targets that have something to draw; how many more there are."""
    by_target: dict[str, list[CellResult]] = {}
    for cell in cells:
        if cell.figures:
            by_target.setdefault(cell.name.target, []).append(cell)
    drawn: list[Front] = []
    more = 0
    for target, found in by_target.items():
        for axes in _AXES:
            judged = list(_judged(found, axes))
            if not judged:
                continue
            if len(drawn) >= TARGETS:
                more += 1
                continue
            drawn.append(_front(target, judged, axes, len(found)))
    return drawn, more


def _judged(cells: Iterable[CellResult], axes: _Axes) -> Iterator[_Judged]:
    for cell in cells:
        time, loss = (_named(cell, kind) for kind in axes.kinds)
        if time is None or loss is None:
            continue
        if time[1].value is None or loss[1].value is None or time[1].value <= 0:
            continue
        yield _Judged(cell, (time[0], loss[0]), time[1], loss[1])


def _named(cell: CellResult, kind: Kind) -> tuple[str, Figure] | None:
    found = ((n, f) for n, f in sorted(cell.figures.items()) if n in METRICS)
    return next(((n, f) for n, f in found if METRICS[n].kind is kind), None)


def _front(target: str, judged: list[_Judged], axes: _Axes, cells: int) -> Front:
    """Of the metric that most cells were judged by."""
    metrics = [one.metrics[0] for one in judged]
    metric = max(dict.fromkeys(metrics), key=metrics.count)
    alike = [one for one in judged if one.metrics[0] == metric]
    shown = sorted(alike, key=lambda one: _spot(one, axes))[:POINTS]
    points = [_point(at, one, axes) for at, one in enumerate(shown)]
    svg = draw_pareto(
        points,
        (axes.title.format(metric=metric_words(metric)), axes.loss),
        (_limit(shown, axes, 0), _limit(shown, axes, 1)),
        axes.units,
        what=f"cell of {safe_text(target, _NAME)}",
    )
    return Front(safe_text(target, _NAME), svg, tuple(_notes(shown, alike, judged, cells)))


def _notes(
    shown: Sequence[_Judged], alike: Sequence[_Judged], judged: Sequence[_Judged], cells: int
) -> Iterator[str]:
    if len(shown) < len(alike):
        yield f"{len(alike) - len(shown)} slower cells are not drawn."
    if len(alike) < len(judged):
        yield f"{len(judged) - len(alike)} cells were judged by another figure of time."
    if len(judged) < cells:
        missing = cells - len(judged)
        yield f"{missing} {'cell has' if missing == 1 else 'cells have'} no such pair of figures."


def _spot(one: _Judged, axes: _Axes) -> tuple[float, float]:
    return axes.seconds(one.time.value or 1.0), one.loss.value or 0.0


def _point(series: int, one: _Judged, axes: _Axes) -> Point:
    name = one.cell.name
    label = name.model if name.variant is None else f"{name.model}, {name.variant}"
    return Point(
        name=safe_text(f"{label}: {one.cell.recipe or ''}", _NAME),
        series=series,
        x=_scaled(one.time, axes.seconds, _MS),
        y=_scaled(one.loss, float, _HUNDREDTHS),
        css=MARKS[one.time.evidence],
    )


def _scaled(
    figure: Figure, turned: Callable[[float], float], factor: float
) -> tuple[float, float | None, float | None]:
    value = turned(figure.value or 0.0) if figure.value else 0.0
    bounds = [
        None if bound is None or not (bound or turned is float) else turned(bound) * factor
        for bound in (figure.lower, figure.upper)
    ]
    low, high = bounds
    if low is not None and high is not None and low > high:
        low, high = high, low
    return value * factor, low, high


def _limit(judged: Sequence[_Judged], axes: _Axes, axis: int) -> float | None:
    """The budget, where all cells have the same; none over figures of another machine."""
    if axis == 0 and any(one.time.evidence is Evidence.PROXY for one in judged):
        return None
    limits = set()
    for one in judged:
        checks = () if one.cell.verdict is None else one.cell.verdict.checks
        limits |= {check.limit for check in checks if check.metric == one.metrics[axis]}
    if len(limits) != 1:
        return None
    limit = limits.pop()
    if axis == 1:
        return limit * _HUNDREDTHS
    return axes.seconds(limit) * _MS if limit > 0 else None
