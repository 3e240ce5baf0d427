"""How latency was spread: round by round in the order they ran, and over all requests, as SVG.

In: the latency summaries of the candidates. Out: SVG in ms. Void rounds are drawn open: they count
for neither arm.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.result import LatencySummary
from deployopt.reports.svg import Box, Scale, drawing, frame, group, line, mark, path, words

WIDTH: Final = 480.0
HEIGHT: Final = 300.0
_AREA: Final = Box(left=46, top=30, right=468, bottom=250)
_MS: Final = 1e3

Arms = Sequence[tuple[int, LatencySummary]]
"""(series, latency) of each candidate that was measured."""


def draw_rounds(arms: Arms) -> str:
    """Each round's median (mark) and tail (line up from it), by its place in time."""
    rounds = [r for _, arm in arms for r in arm.rounds]
    if not rounds:
        return ""
    most = max(max(r.tail_s, r.median_s) for r in rounds) * _MS
    last = max(r.order for r in rounds)
    x = Scale(low=-0.5, high=last + 0.5, start=_AREA.left, end=_AREA.right)
    y = Scale(low=0.0, high=1.1 * most or 1.0, start=_AREA.bottom, end=_AREA.top)
    parts = [frame(_AREA, x, y, ("place in time", "median and tail of each round (ms)"))]
    for series, arm in arms:
        kept = [
            (x.at(r.order), y.at(r.median_s * _MS))
            for r in sorted(arm.rounds, key=lambda r: r.order)
            if r.void is None
        ]
        marks = [path(kept, "thin")]
        for item in arm.rounds:
            place = x.at(item.order)
            median, tail = y.at(item.median_s * _MS), y.at(item.tail_s * _MS)
            marks.append(line(place, median, place, tail, "whisker"))
            marks.append(mark(place, median, series, "dot" if item.void is None else "open", 4.0))
        parts.append(group(series, *marks))
    return drawing(WIDTH, HEIGHT, "Latency of each round in the order they ran", *parts)


def draw_distribution(arms: Arms, limit_s: float | None) -> str:
    """The share of requests done within a time; `limit_s` only where it may be compared."""
    curves = [(series, arm) for series, arm in arms if len(arm.spread_s) > 1]
    if not curves:
        return ""
    # The slowest request of all would press the curves together; the axis ends near the 99th.
    most = 1.1 * max(arm.spread_s[-2] for _, arm in curves) * _MS
    near = limit_s is not None and limit_s * _MS <= 2.5 * most
    high = max(most, 1.08 * limit_s * _MS) if near and limit_s is not None else most
    x = Scale(low=0.0, high=high or 1.0, start=_AREA.left, end=_AREA.right)
    y = Scale(low=0.0, high=100.0, start=_AREA.bottom, end=_AREA.top)
    parts = [frame(_AREA, x, y, ("latency of a request (ms)", "share of requests (%)"))]
    if near and limit_s is not None:
        place = x.at(limit_s * _MS)
        parts.append(line(place, _AREA.top, place, _AREA.bottom, "limit"))
        text = f"budget {limit_s * _MS:g} ms"
        parts.append(words(text, place - 5, _AREA.bottom - 7, css="t limit-t", anchor="end"))
    for series, arm in curves:
        steps = 100 / (len(arm.spread_s) - 1)
        points = [(x.within(v * _MS), y.at(k * steps)) for k, v in enumerate(arm.spread_s)]
        parts.append(group(series, path(points, "curve")))
    quantiles = {arm.quantile for _, arm in curves}
    for q in quantiles:
        parts.append(line(_AREA.left, y.at(100 * q), _AREA.right, y.at(100 * q), "mean"))
        place_y = y.at(100 * q) + 14
        parts.append(words(f"p{q * 100:g}", _AREA.left + 4, place_y, css="t dim"))
    return drawing(WIDTH, HEIGHT, "Share of requests done within a time", *parts)
