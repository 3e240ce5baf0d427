"""Names beside the points of a plot, none over another: the chosen first, or no name at all.

In: points in pixels and what the plot has drawn already. Out: SVG.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from deployopt.core.text import safe_text
from deployopt.reports.svg import LETTER, Box, group, line, words

CROWD: Final = 40
"""With more points than this only the best keep names and bounds: the others' would hide them."""
_NAME: Final = 36
_LEADER: Final = 15.0
"""Distance in pixels from which a name is tied to its point by a line."""
_DOT: Final = 6.0
_RING: Final = 10.0
_BOLD: Final = 1.12
"""How much wider the name of the one chosen is, being bold."""
_DISTANCES: Final = (12.0, 22.0, 36.0, 54.0, 76.0, 104.0)
_SIDES: Final = ((1, -0.7), (1, 0.7), (-1, -0.7), (-1, 0.7), (0, -1), (0, 1), (1, 0))


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A point in pixels; a name that is not `loud` stands close to its point or not at all."""

    name: str
    series: int
    at: tuple[float, float]
    chosen: bool = False
    loud: bool = True


def draw_labels(points: Sequence[Named], area: Box, reserved: Sequence[Box]) -> Iterator[str]:
    """Names of the first points, each at the nearest free place inside `area`."""
    taken = [_around(p.at, _RING if p.chosen else _DOT) for p in points] + list(reserved)
    for point in points[:CROWD]:
        name = safe_text(point.name, _NAME)
        place = _free(point, len(name) * LETTER * (_BOLD if point.chosen else 1.0), area, taken)
        if place is None:
            continue
        taken.append(place)
        edge = min(place.right, max(place.left, point.at[0]))
        middle = (place.top + place.bottom) / 2
        if max(abs(middle - point.at[1]), abs(edge - point.at[0])) > _LEADER:
            yield group(point.series, line(*point.at, edge, middle, "leader"))
        css = "t strong-t" if point.chosen else "t" if point.loud else "t dim"
        yield words(name, place.left, place.bottom - 3.5, css=css)


def _around(at: tuple[float, float], size: float) -> Box:
    x, y = at
    return Box(left=x - size, top=y - size, right=x + size, bottom=y + size)


def _free(point: Named, width: float, area: Box, taken: Sequence[Box]) -> Box | None:
    x, y = point.at
    for distance in _DISTANCES if point.loud else _DISTANCES[:1]:
        for right, up in _SIDES:
            left = x + distance * right - (width if right < 0 else width / 2 * (right == 0))
            middle = y + distance * up
            place = Box(left=left, top=middle - 8, right=left + width, bottom=middle + 8)
            if _inside(place, area) and not any(_touch(place, other) for other in taken):
                return place
    return None


def _inside(place: Box, area: Box) -> bool:
    return (
        place.left >= area.left + 2
        and place.right <= area.right
        and place.top >= area.top
        and place.bottom <= area.bottom - 2
    )


def _touch(one: Box, other: Box) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )
