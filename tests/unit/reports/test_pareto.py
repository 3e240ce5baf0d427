"""The Pareto plot: right front, budgets drawn, names that do not overlap."""

import re

from deployopt.reports.pareto import Point, draw_pareto
from deployopt.reports.svg import LETTER
from tests.fakes.markup import read_xml


def point(name: str, x: float, y: float, **more: bool) -> Point:
    return Point(
        name=name, series=1, x=(x, 0.9 * x, 1.1 * x), y=(y, y - 0.3, y + 0.3), chosen=bool(more)
    )


def names(svg: str) -> list[tuple[float, float, str]]:
    root = read_xml(svg)
    return [
        (float(t.get("x", "0")), float(t.get("y", "0")), t.text or "")
        for t in root.iter("text")
        if t.get("class", "").startswith("t") and (t.text or "").startswith("c-")
    ]


def test_names_do_not_overlap() -> None:
    crowd = [point(f"c-number-{k}", 15 + 0.4 * k, 0.5 + 0.05 * (k % 3)) for k in range(12)]
    placed = names(draw_pareto(crowd, ("x", "y"), (60.0, 1.0)))
    assert len(placed) >= 10
    for k, (x, y, text) in enumerate(placed):
        for other_x, other_y, other in placed[k + 1 :]:
            apart = (
                x + len(text) * LETTER <= other_x
                or other_x + len(other) * LETTER <= x
                or abs(y - other_y) >= 15.9
            )
            assert apart, (text, other)


def test_the_front_leaves_out_what_is_beaten() -> None:
    points = [point("c-a", 10, 1.0), point("c-b", 20, 0.2), point("c-worse", 25, 0.9)]
    svg = draw_pareto(points, ("x", "y"), (None, None))
    front = next(e for e in read_xml(svg).iter("polyline") if e.get("class") == "front")
    corners = str(front.get("points")).split()
    assert len(corners) == 5
    dots = [e for e in read_xml(svg).iter("circle") if e.get("class") == "dot"]
    heights = {str(d.get("cy")) for d in dots}
    assert len(heights & {c.split(",")[1] for c in corners}) == 2


def test_a_budget_is_drawn_where_it_is_near_and_named_where_it_is_far() -> None:
    points = [point("c-a", 10, 0.5)]
    assert "budget 15 ms<" in draw_pareto(points, ("x", "y"), (15.0, 1.0))
    assert "budget 500 ms →" in draw_pareto(points, ("x", "y"), (500.0, 1.0))
    bare = draw_pareto(points, ("x", "y"), (None, None))
    assert "budget" not in bare
    assert 'class="over"' not in bare


def test_the_chosen_has_a_ring_and_missing_bounds_are_fine() -> None:
    alone = Point(name="c", series=0, x=(10.0, None, None), y=(0.0, None, None), chosen=True)
    svg = draw_pareto([alone], ("x", "y"), (None, 1.0))
    assert len(re.findall('class="ring"', svg)) == 1
