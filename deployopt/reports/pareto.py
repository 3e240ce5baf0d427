"""Time against loss of every candidate, both with their bounds, as SVG.

In: points in ms and percentage points, or other units that are told, and the budgets where they may
be drawn (a limit for the target is not drawn over figures of another machine). Out: SVG; the front
is the line of the points that no other one beats in both.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from deployopt.reports.labels import CROWD, Named, draw_labels
from deployopt.reports.svg import (
    Box,
    Scale,
    drawing,
    frame,
    group,
    hinted,
    line,
    mark,
    path,
    rectangle,
    tag,
    words,
)

WIDTH: Final = 480.0
HEIGHT: Final = 340.0
_AREA: Final = Box(left=46, top=30, right=468, bottom=290)
_FAR: Final = 2.5


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate; (value, lower, upper) of each axis, a bound None where there is none."""

    name: str
    series: int
    x: tuple[float, float | None, float | None]
    y: tuple[float, float | None, float | None]
    chosen: bool = False
    css: str = "dot"
    """The mark's class in the page."""


def draw_pareto(
    points: Sequence[Point],
    titles: tuple[str, str],
    limits: tuple[float | None, float | None],
    units: tuple[str, str] = ("ms", "pt"),
    what: str = "candidate",
) -> str:
    """The plot; `limits` are the budgets on x and y, in the `units` of the points.

    `what` a point is stands in the name for those who do not see it.
    """
    xs, ys = [_reach(p.x) for p in points], [_reach(p.y) for p in points]
    most = max(high for _, high in xs)
    shown = limits[0] if limits[0] is not None and limits[0] <= _FAR * most else None
    x = Scale(low=0.0, high=1.08 * max(most, shown or 0.0), start=_AREA.left, end=_AREA.right)
    low = min(0.0, *(a for a, _ in ys))
    high = max(limits[1] or 0.0, 0.1, *(b for _, b in ys))
    pad = 0.08 * (high - low)
    y = Scale(low=low - pad, high=high + pad, start=_AREA.bottom, end=_AREA.top)
    front = _front(points)
    best = {p for p in points if p.chosen} | set(front if len(points) > CROWD else points)
    named = [
        Named(name=p.name, series=p.series, at=(x.at(p.x[0]), y.at(p.y[0])), chosen=p.chosen)
        for p in sorted(best, key=lambda p: (not p.chosen, p.y[0], p.x[0], p.name))
    ]
    parts = [
        frame(_AREA, x, y, titles),
        *_limits(x, y, (limits[0], shown, limits[1]), units),
        path(_steps(front, x, y), "front"),
        *(_cross(p, x, y) for p in points if p in best),
        *(_dot(p, x, y) for p in points),
        *draw_labels(named, _AREA, _reserved(x, y, (limits[0], shown, limits[1]))),
    ]
    return drawing(WIDTH, HEIGHT, f"{titles[1]} against {titles[0]} of every {what}", *parts)


def _reach(value: tuple[float, float | None, float | None]) -> tuple[float, float]:
    known = [v for v in value if v is not None]
    return min(known), max(known)


def _front(points: Sequence[Point]) -> list[Point]:
    """Points that none beats in both, from the fastest on."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x[0], p.y[0])):
        if not front or point.y[0] < front[-1].y[0]:
            front.append(point)
    return front


def _steps(front: Sequence[Point], x: Scale, y: Scale) -> list[tuple[float, float]]:
    corners = [(x.at(front[0].x[0]), _AREA.top)] if front else []
    for before, after in pairwise(front):
        corners += [
            (x.at(before.x[0]), y.at(before.y[0])),
            (x.at(after.x[0]), y.at(before.y[0])),
        ]
    if front:
        last = front[-1]
        corners += [(x.at(last.x[0]), y.at(last.y[0])), (_AREA.right, y.at(last.y[0]))]
    return corners


def _limits(
    x: Scale,
    y: Scale,
    limits: tuple[float | None, float | None, float | None],
    units: tuple[str, str],
) -> list[str]:
    asked, shown, loss = limits
    parts = []
    if loss is not None:
        above = Box(left=_AREA.left, top=_AREA.top, right=_AREA.right, bottom=y.at(loss))
        parts.append(rectangle(above, "over"))
        parts.append(line(_AREA.left, y.at(loss), _AREA.right, y.at(loss), "limit"))
        parts.append(
            words(f"budget {loss:g} {units[1]}", _AREA.left + 5, y.at(loss) - 5, css="t limit-t")
        )
    if shown is not None:
        top = _AREA.top if loss is None else y.at(loss)
        right = Box(left=x.at(shown), top=top, right=_AREA.right, bottom=_AREA.bottom)
        parts.append(rectangle(right, "over"))
        parts.append(line(x.at(shown), _AREA.top, x.at(shown), _AREA.bottom, "limit"))
        place = (x.at(shown) - 5, _AREA.bottom - 7)
        parts.append(words(f"budget {shown:g} {units[0]}", *place, css="t limit-t", anchor="end"))
    elif asked is not None:
        place = (_AREA.right - 4, _AREA.bottom - 7)
        parts.append(words(f"budget {asked:g} {units[0]} →", *place, css="t limit-t", anchor="end"))
    return parts


def _reserved(
    x: Scale, y: Scale, limits: tuple[float | None, float | None, float | None]
) -> list[Box]:
    """Where the names of the budgets stand."""
    asked, shown, loss = limits
    places = []
    if loss is not None:
        line_y = y.at(loss)
        places.append(Box(left=_AREA.left, top=line_y - 17, right=_AREA.left + 80, bottom=line_y))
    if asked is not None:
        right = x.at(shown) if shown is not None else _AREA.right
        places.append(Box(left=right - 96, top=_AREA.bottom - 20, right=right, bottom=_AREA.bottom))
    return places


def _cross(point: Point, x: Scale, y: Scale) -> str:
    across, up = _reach(point.x), _reach(point.y)
    here = (x.at(point.x[0]), y.at(point.y[0]))
    css = "whisker strong" if point.chosen else "whisker"
    return group(
        point.series,
        line(x.at(across[0]), here[1], x.at(across[1]), here[1], css),
        line(here[0], y.at(up[0]), here[0], y.at(up[1]), css),
    )


def _dot(point: Point, x: Scale, y: Scale) -> str:
    here = (x.at(point.x[0]), y.at(point.y[0]))
    ring = [tag("circle", {"cx": here[0], "cy": here[1], "r": 9, "class": "ring"})]
    dot = mark(*here, point.series, point.css)
    return hinted(point.name, group(point.series, *(ring if point.chosen else []), dot))
