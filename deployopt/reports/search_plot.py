"""Everything that a search found on one plane: time over the float model's against accuracy lost.

In: a build that searched. Out: SVG: candidates that were measured in full with both intervals;
fainter, the shapes after their last training; at the foot, the shapes that were only timed. The
time axis is logarithmic, as ratios are; what loses more than is drawn stands at the upper edge.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from deployopt.core.result import BuildResult, CandidateResult
from deployopt.core.search import Profile, SearchResult, TimedShape, TrainedShape
from deployopt.core.units import Dimension
from deployopt.reports.labels import CROWD, Named, draw_labels
from deployopt.reports.svg import (
    Box,
    Scale,
    drawing,
    frame,
    group,
    hinted,
    line,
    log_ticks,
    mark,
    rectangle,
    tag,
    words,
)
from deployopt.reports.words import loss_words, show, show_times

WIDTH: Final = 960.0
HEIGHT: Final = 440.0
_AREA: Final = Box(left=50, top=30, right=946, bottom=384)
_POINTS: Final = 1e2
_ROOM: Final = 3.0
"""How far above the candidates a trained shape may stretch the plot, as a multiple of them."""
_RUG: Final = 9.0

Spread = tuple[float, float, float]
"""(value, lower, upper); a bound that is not known is the value."""


class _Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A point: ratio on x, points of loss on y; `series` None where it is a shape."""

    name: str
    x: Spread
    y: Spread
    series: int | None = None
    chosen: bool = False


def draw_search(result: BuildResult, limit_s: float | None) -> str:
    """The plot, or nothing without a search or a candidate; `limit_s` only where it compares."""
    if result.search is None:
        return ""
    full = [*_candidates(result.candidates)]
    if not full:
        return ""
    trained = [*_trained(result.search, {m.name for m in full})]
    rug = [*_timed_only(result.search, trained, full)]
    float_s = _float_time(result.candidates)
    limits = (
        limit_s / float_s if limit_s is not None and float_s else None,
        next((b.limit * _POINTS for b in result.budgets if b.metric == "accuracy_drop"), None),
    )
    x, across = _x_scale([*full, *trained], rug, limits[0])
    y = _y_scale(full, trained, limits[1])
    accuracy = next(loss_words(c.accuracy) for c in result.candidates if c.accuracy is not None)
    titles = ("time over the float model's, log scale", f"{accuracy} (pt)")
    crowd = len(full) + len(trained) > CROWD
    best = _best(full) if crowd else full
    bounded = {*best} if crowd else {*full, *trained}
    parts = [
        frame(_AREA, x, y, titles, log_ticks(*across)),
        *_limits(x, y, limits, across),
        *(_tick(shape, x) for shape in rug),
        *(_drawn(m, x, y, bounded=m in bounded) for m in (*trained, *full)),
        *draw_labels(_names(best, [] if crowd else trained, x, y), _AREA, _reserved(x, y, limits)),
    ]
    return drawing(WIDTH, HEIGHT, "Loss against time of everything that was tried", *parts)


def _candidates(candidates: Sequence[CandidateResult]) -> Iterator[_Mark]:
    for series, item in enumerate(candidates):
        ratio = item.latency.ratio if item.latency else None
        loss = item.accuracy.loss if item.accuracy else None
        if loss is None or loss.value is None or item.latency is None:
            continue
        x = _spread(1.0, None, None) if series == 0 and ratio is None else None
        if ratio is not None and ratio.value is not None:
            x = _spread(ratio.value, ratio.lower, ratio.upper)
        if x is not None and x[1] > 0:
            y = _spread(*(_in_points(v) for v in (loss.value, loss.lower, loss.upper)))
            yield _Mark(name=item.recipe, x=x, y=y, series=series, chosen=item.chosen)


def _trained(search: SearchResult, drawn: set[str]) -> Iterator[_Mark]:
    """Shapes after their last training that are not among the candidates."""
    times = {s.profile: s for s in search.shapes if _can_be_drawn(s)}
    last: dict[str, TrainedShape] = {}
    for training in sorted(search.trainings, key=lambda t: t.rung):
        if training.loss is not None:
            last[training.recipe] = training
    for recipe, training in last.items():
        shape = times.get(training.profile)
        if shape is not None and training.loss is not None and recipe not in drawn:
            loss = training.loss
            y = _spread(*(_in_points(v) for v in (loss.estimate, loss.lower, loss.upper)))
            yield _Mark(name=recipe, x=_spread(shape.ratio, shape.lower, shape.upper), y=y)


def _timed_only(
    search: SearchResult, trained: Sequence[_Mark], full: Sequence[_Mark]
) -> Iterator[TimedShape]:
    names = {m.name for m in (*trained, *full)}
    seen: set[Profile] = {t.profile for t in search.trainings if t.recipe in names}
    yield from (s for s in search.shapes if s.profile not in seen and _can_be_drawn(s))


def _can_be_drawn(shape: TimedShape) -> bool:
    least = shape.ratio if shape.lower is None else min(shape.ratio, shape.lower)
    return math.isfinite(shape.ratio) and least > 0


def _spread(value: float | None, lower: float | None, upper: float | None) -> Spread:
    middle = value if value is not None else 0.0
    low, high = (middle if v is None or not math.isfinite(v) else v for v in (lower, upper))
    return middle, low, high


def _in_points(value: float | None) -> float | None:
    return None if value is None else value * _POINTS


def _float_time(candidates: Sequence[CandidateResult]) -> float | None:
    base = candidates[0].latency
    return base.tail.value if base is not None else None


def _x_scale(
    marks: Sequence[_Mark], rug: Sequence[TimedShape], limit: float | None
) -> tuple[Scale, tuple[float, float]]:
    """The logarithm of the ratio onto pixels, and the ratios at its ends."""
    ratios = [v for m in marks for v in m.x] + [s.ratio for s in rug]
    near = [limit] if limit is not None and limit <= 1.5 * max(ratios) else []
    low, high = 0.88 * min(ratios + near), 1.16 * max(ratios + near)
    scale = Scale(low=math.log10(low), high=math.log10(high), start=_AREA.left, end=_AREA.right)
    return scale, (low, high)


def _y_scale(full: Sequence[_Mark], trained: Sequence[_Mark], limit: float | None) -> Scale:
    most = max(limit or 0.0, 0.1, *(m.y[2] for m in full))
    high = min(_ROOM * most, max(most, *(m.y[2] for m in trained), 0.0))
    low = min(0.0, *(m.y[1] for m in (*full, *trained)))
    pad = 0.08 * (high - low)
    # Below the lowest bound the shapes that were only timed have their strip.
    return Scale(low=low - 2 * pad, high=high + pad, start=_AREA.bottom, end=_AREA.top)


def _limits(
    x: Scale, y: Scale, limits: tuple[float | None, float | None], across: tuple[float, float]
) -> Iterator[str]:
    ratio, loss = limits
    if loss is not None:
        above = Box(left=_AREA.left, top=_AREA.top, right=_AREA.right, bottom=y.at(loss))
        yield rectangle(above, "over")
        yield line(_AREA.left, y.at(loss), _AREA.right, y.at(loss), "limit")
        yield words(f"budget {loss:g} pt", _AREA.left + 5, y.at(loss) - 5, css="t limit-t")
    if ratio is not None and across[0] < ratio < across[1]:
        place = x.at(math.log10(ratio))
        top = _AREA.top if loss is None else y.at(loss)
        yield rectangle(Box(left=place, top=top, right=_AREA.right, bottom=_AREA.bottom), "over")
        yield line(place, _AREA.top, place, _AREA.bottom, "limit")
        yield words("latency budget", place - 5, _AREA.top + 14, css="t limit-t", anchor="end")


def _reserved(x: Scale, y: Scale, limits: tuple[float | None, float | None]) -> list[Box]:
    """Where the names of the budgets and the strip of the timed shapes are."""
    ratio, loss = limits
    strip = _AREA.bottom - _RUG - 4
    places = [Box(left=_AREA.left, top=strip, right=_AREA.right, bottom=_AREA.bottom)]
    if loss is not None:
        top, right = y.at(loss) - 17, _AREA.left + 90
        places.append(Box(left=_AREA.left, top=top, right=right, bottom=y.at(loss)))
    if ratio is not None:
        place = x.at(math.log10(ratio))
        places.append(Box(left=place - 100, top=_AREA.top, right=place, bottom=_AREA.top + 20))
    return places


def _tick(shape: TimedShape, x: Scale) -> str:
    place = x.at(math.log10(shape.ratio))
    hint = f"{shape.profile.words}, {shape.form}: {show_times(shape.ratio)} x float"
    told = f"{hint}; {shape.verdict}" if shape.verdict else hint
    return hinted(told, line(place, _AREA.bottom - _RUG, place, _AREA.bottom, "rug"))


def _best(marks: Sequence[_Mark]) -> list[_Mark]:
    """The chosen, the first, and those that none beats in both."""
    best: list[_Mark] = []
    least = math.inf
    for item in sorted(marks, key=lambda m: (m.x[0], m.y[0])):
        if item.y[0] < least or item.chosen or item.series == 0:
            best.append(item)
        least = min(least, item.y[0])
    return best


def _drawn(item: _Mark, x: Scale, y: Scale, *, bounded: bool) -> str:
    place, height = _place(item, x, y)
    across = [x.at(math.log10(v)) for v in item.x[1:]]
    up = [y.within(v) for v in item.y[1:]]
    shape = item.series is None
    css = "whisker strong" if item.chosen else "whisker"
    ring = tag("circle", {"cx": place, "cy": height, "r": 10, "class": "ring"})
    bounds = (
        line(across[0], height, across[1], height, css),
        line(place, up[0], place, up[1], css),
    )
    parts = [
        *(bounds if bounded else ()),
        *([ring] if item.chosen else []),
        mark(place, height, item.series or 0, "open" if shape else "dot", 3.5 if shape else 5.5),
    ]
    lost = show(item.y[0] / _POINTS, Dimension.SHARE)
    told = f"{item.name}: {show_times(item.x[0])} x float, {lost} lost"
    return hinted(told, group(item.series or 0, *parts, css="faint" if shape else ""))


def _place(item: _Mark, x: Scale, y: Scale) -> tuple[float, float]:
    return x.at(math.log10(item.x[0])), y.within(item.y[0])


def _names(full: Sequence[_Mark], trained: Sequence[_Mark], x: Scale, y: Scale) -> list[Named]:
    """The chosen first, then the candidates, then the shapes where there is room."""
    ordered = [*sorted(full, key=lambda m: (not m.chosen, m.y[0])), *trained]
    return [
        Named(
            name=m.name,
            series=m.series or 0,
            at=_place(m, x, y),
            chosen=m.chosen,
            loud=m.series is not None,
        )
        for m in ordered
    ]
