"""What quantizing each layer alone does to the answers, the twenty that matter most, as SVG.

In: the ranked layers, most sensitive first. Out: SVG, one bar a layer, on a logarithmic scale where
they differ by more than fifty times; the layers that stay in float have their own colour. A layer
without an error above zero has no bar.
"""

import math
from collections.abc import Sequence
from typing import Final

from deployopt.core.search import LayerError
from deployopt.core.text import safe_text
from deployopt.reports.search_words import short_names, show_error, show_share
from deployopt.reports.svg import (
    Box,
    Scale,
    drawing,
    group,
    hinted,
    line,
    log_ticks,
    rectangle,
    ticks,
    words,
)

WIDTH: Final = 960.0
SHOWN: Final = 20
_ROW: Final = 20.0
_TOP: Final = 14.0
_LEFT: Final = 318.0
_RIGHT: Final = 780.0
_NAME: Final = 46
_WIDE: Final = 50.0
"""From this ratio of the largest to the smallest on, the scale is logarithmic."""


def draw_sensitivity(layers: Sequence[LayerError]) -> str:
    """The drawing, or nothing where no layer was ranked."""
    if not layers:
        return ""
    _, names = short_names(layers)
    shown = [*zip(layers, names, strict=True)][:SHOWN]
    scale, axis, title = _scale([layer.error for layer, _ in shown])
    bottom = _TOP + _ROW * len(shown)
    parts = []
    for value, label in axis:
        place = scale.at(value)
        parts.append(line(place, _TOP - 4, place, bottom, "grid"))
        parts.append(words(label, place, bottom + 17, css="tick", anchor="middle"))
    parts.append(line(_LEFT, _TOP - 4, _LEFT, bottom, "axis"))
    parts.append(words(title, _LEFT, bottom + 36, css="t dim"))
    logarithmic = scale.low != 0
    for k, (layer, name) in enumerate(shown):
        end = scale.within(_on(layer.error, scale.low, logarithmic=logarithmic))
        parts.append(_row(layer, name, _TOP + _ROW * k, end))
    return drawing(WIDTH, bottom + 44, "Sensitivity of the layers to quantization", *parts)


def _scale(errors: Sequence[float]) -> tuple[Scale, list[tuple[float, str]], str]:
    """Errors onto pixels, its ticks, and what it is called."""
    known = [e for e in errors if math.isfinite(e) and e > 0]
    most, least = max(known, default=1.0), min(known, default=1.0)
    if most <= _WIDE * least:
        linear = Scale(low=0.0, high=1.05 * most, start=_LEFT, end=_RIGHT)
        axis = [(v, f"{v:.4g}") for v in ticks(0.0, linear.high, 5)]
        return linear, axis, "error of quantizing it alone"
    low, high = least / 2, 1.3 * most
    logarithmic = Scale(low=math.log10(low), high=math.log10(high), start=_LEFT, end=_RIGHT)
    return logarithmic, log_ticks(low, high), "error of quantizing it alone, log scale"


def _on(error: float, lowest: float, *, logarithmic: bool) -> float:
    if math.isnan(error) or error <= 0:
        return lowest
    return math.log10(error) if logarithmic and math.isfinite(error) else error


def _row(layer: LayerError, name: str, top: float, end: float) -> str:
    middle = top + _ROW / 2 + 4
    bar = Box(left=_LEFT, top=top + 3, right=end, bottom=top + _ROW - 4)
    css = "w-provisional" if layer.kept_float else ""
    told = f"{show_error(layer.error)}{' · kept in float' if layer.kept_float else ''}"
    hint = f"{layer.name} ({layer.operator}): {show_share(layer.changed)} of answers change"
    behind = "t small-t strong-t" if layer.kept_float else "t small-t"
    return hinted(
        hint,
        words(_ending(name), _LEFT - 8, middle, css="t small-t", anchor="end"),
        group(1, rectangle(bar, "bar"), css=css),
        words(told, end + 7, middle, css=behind),
    )


def _ending(name: str) -> str:
    """The end of a long name says which layer it is."""
    name = safe_text(name)
    return name if len(name) <= _NAME else f"…{name[1 - _NAME :]}"
