"""Every budget on one scale, as the share of it that is used, with its bounds, as SVG.

In: a verdict. Out: SVG, one row a budget; the line at 100 % is the limit, what lies behind is over
it. A budget of zero has no share and is left to the table.
"""

from typing import Final

from deployopt.core.metric import METRICS
from deployopt.core.verdict import Check, Verdict
from deployopt.reports.svg import Box, Scale, drawing, group, line, mark, rectangle, ticks, words
from deployopt.reports.words import (
    check_word,
    dimension_of,
    evidence_words,
    metric_words,
    show,
    show_bounds,
    show_limit,
)

WIDTH: Final = 480.0
_ROW: Final = 66.0
_LEFT: Final = 10.0
_RIGHT: Final = 470.0
_TOP: Final = 34.0
_MOST: Final = 2.0
_LEAST: Final = -0.5
_TINY: Final = 1e-9


def draw_bars(verdict: Verdict) -> str:
    """The drawing, or nothing when no budget has a share."""
    checks = [c for c in verdict.checks if c.limit > 0 and c.observed is not None]
    if not checks:
        return ""
    shares = [_used(c, v) for c in checks for v in (c.observed, c.lower, c.upper) if v is not None]
    low = max(_LEAST, min(0.0, *shares))
    scale = Scale(
        low=low - (0.03 if low < 0 else 0.0),
        high=min(_MOST, max(1.15, 1.05 * max(shares))),
        start=_LEFT,
        end=_RIGHT,
    )
    bottom = _TOP + _ROW * len(checks)
    limit = scale.at(1.0)
    parts = [
        rectangle(Box(left=limit, top=_TOP - 8, right=_RIGHT, bottom=bottom), "over"),
        *_axis(scale, bottom),
        *(_row(check, scale, _TOP + _ROW * k) for k, check in enumerate(checks)),
        line(limit, _TOP - 8, limit, bottom, "limit"),
        words("limit", limit, _TOP - 14, css="t limit-t", anchor="middle"),
    ]
    return drawing(WIDTH, bottom + 26, "How much of each budget is used", *parts)


def _used(check: Check, value: float) -> float:
    """The share of the limit; of a lower one it is more than all where the value is below."""
    higher = check.metric in METRICS and METRICS[check.metric].higher
    return check.limit / max(value, _TINY) if higher else value / check.limit


def _axis(scale: Scale, bottom: float) -> list[str]:
    parts = []
    for value in ticks(scale.low, scale.high, 5):
        x = scale.at(value)
        parts.append(line(x, _TOP - 8, x, bottom, "axis" if value == 0 else "grid"))
        parts.append(words(f"{value * 100:.0f} %", x, bottom + 17, css="tick", anchor="middle"))
    return parts


def _row(check: Check, scale: Scale, top: float) -> str:
    dimension = dimension_of(check.metric)
    observed = check.observed if check.observed is not None else 0.0
    bounds = show_bounds(check.lower, check.upper, dimension)
    told = f"{show(observed, dimension)} of {show_limit(check.limit, dimension)}"
    basis = ", ".join(part for part in (bounds, evidence_words(check.evidence)) if part)
    name = f"{metric_words(check.metric)}: {told}"
    y = top + 48
    ends = [_used(check, v) for v in (check.lower, check.upper) if v is not None]
    share = _used(check, observed)
    left, right = scale.within(min([share, *ends])), scale.within(max([share, *ends]))
    zero = scale.within(0.0)
    here = scale.within(share)
    used = Box(left=min(zero, here), top=y - 6, right=max(zero, here), bottom=y + 6)
    marks = [
        rectangle(used, "used"),
        line(left, y, right, y, "bound"),
        line(left, y - 6, left, y + 6, "bound"),
        line(right, y - 6, right, y + 6, "bound"),
        mark(here, y, 0, "dot"),
    ]
    label = words(name, scale.start, top + 15, css="t strong-t")
    behind = words(basis, scale.start, top + 32, css="t dim")
    return label + behind + group(0, *marks, css=f"w-{check_word(check)}")
