"""SVG as text: escaped elements, linear scales, round ticks, and a frame with its axes.

Colours are CSS classes of the page, so that a drawing follows its light or dark theme.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import msgspec

from deployopt.core.text import safe_text

SERIES: Final = 8
"""Colours that the page has; more series repeat them with another mark."""
LETTER: Final = 6.7
"""Mean width of a letter at the drawings' 12.5 pixels."""
_DECADES: Final = 2
_TICKS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel, not cut off at the ends."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def within(self, value: float) -> float:
        """The pixel of the value nearest to this one that is drawn."""
        return self.at(min(self.high, max(self.low, value)))


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a drawing that holds data, in pixels."""

    left: float
    top: float
    right: float
    bottom: float


Attributes = Mapping[str, float | str]


def tag(name: str, attributes: Attributes, *children: str) -> str:
    """One element; attribute values are escaped, children are SVG already."""
    shown = "".join(f' {k}="{escape(_number(v))}"' for k, v in attributes.items())
    return f"<{name}{shown}>{''.join(children)}</{name}>" if children else f"<{name}{shown}/>"


def words(text: str, x: float, y: float, *, css: str = "", anchor: str = "start") -> str:
    """Text at a point; whatever it holds, it is text."""
    place: Attributes = {"x": x, "y": y, "class": css or "t", "text-anchor": anchor}
    return tag("text", place, escape(safe_text(text, 80)) or " ")


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return tag("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": css})


def rectangle(box: Box, css: str) -> str:
    """A rectangle; nothing when it is inside out."""
    size = {"width": max(0.0, box.right - box.left), "height": max(0.0, box.bottom - box.top)}
    return tag("rect", {"x": box.left, "y": box.top, **size, "class": css})


def path(points: Sequence[tuple[float, float]], css: str) -> str:
    """An open line through points."""
    steps = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return tag("polyline", {"points": steps, "class": css})


def mark(x: float, y: float, series: int, css: str = "dot", size: float = 5.0) -> str:
    """A mark of a series: another shape each time that the colours come round."""
    shape = series // SERIES % 3
    if shape == 0:
        return tag("circle", {"cx": x, "cy": y, "r": size, "class": css})
    corners = (
        ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0))
        if shape == 1
        else ((0, -1.3), (1.2, 0.9), (-1.2, 0.9))
    )
    points = " ".join(f"{_number(x + size * a)},{_number(y + size * b)}" for a, b in corners)
    return tag("polygon", {"points": points, "class": css})


def hinted(hint: str, *children: str) -> str:
    """Children with a text that a browser shows when the pointer rests on them."""
    return tag("g", {}, tag("title", {}, escape(safe_text(hint, 160)) or " "), *children)


def group(series: int, *children: str, css: str = "") -> str:
    """Children in the colour of a series."""
    return tag("g", {"class": f"s{series % SERIES} {css}".strip()}, *children)


def drawing(width: float, height: float, title: str, *children: str) -> str:
    """A whole drawing with its name for those who do not see it."""
    view = {"viewBox": f"0 0 {_number(width)} {_number(height)}", "role": "img", "class": "chart"}
    label = tag("title", {}, escape(safe_text(title, 200)) or " ")
    return tag("svg", {**view, "aria-label": safe_text(title, 200)}, label, *children)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round values from `low` to `high`, about so many."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    rough = span / max(1, about)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * t for t in _TICKS if power * t >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """(logarithm, label) of round values from `low` to `high`, both above zero."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1.0, 2.0, 5.0) if math.log10(high / low) <= _DECADES else (1.0,)
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return [(math.log10(v), f"{v:.6g}") for v in values if low <= v * (1 + 1e-9) <= high * 1.001]


def frame(
    box: Box,
    x: Scale,
    y: Scale,
    titles: tuple[str, str],
    x_ticks: Sequence[tuple[float, str]] | None = None,
) -> str:
    """Grid, tick labels and axis titles around `box`; `x_ticks` where x is not linear."""
    parts = []
    for value, label in x_ticks or [(v, f"{v:.6g}") for v in ticks(x.low, x.high, 6)]:
        parts.append(line(x.at(value), box.top, x.at(value), box.bottom, "grid"))
        parts.append(words(label, x.at(value), box.bottom + 17, css="tick", anchor="middle"))
    for value in ticks(y.low, y.high, 5):
        parts.append(line(box.left, y.at(value), box.right, y.at(value), "grid"))
        parts.append(words(f"{value:.6g}", box.left - 7, y.at(value) + 4, css="tick", anchor="end"))
    parts.append(line(box.left, box.bottom, box.right, box.bottom, "axis"))
    parts.append(words(titles[0], box.right, box.bottom + 36, css="t dim", anchor="end"))
    parts.append(words(titles[1], 2, box.top - 12, css="t dim"))
    return "".join(parts)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
