"""Rounds in the order they ran, void ones open; a budget only where it may be compared."""

from deployopt.reports.spread import Arms, draw_distribution, draw_rounds
from tests.fakes import results
from tests.fakes.markup import read_xml


def arms() -> Arms:
    found = results.build_result().candidates
    return [(k, c.latency) for k, c in enumerate(found) if c.latency is not None]


def test_a_mark_a_round_and_void_ones_open() -> None:
    root = read_xml(draw_rounds(arms()))
    marks = list(root.iter("circle"))
    assert len(marks) == 24
    assert sum(m.get("class") == "open" for m in marks) == 1


def test_arms_alternate_from_left_to_right() -> None:
    root = read_xml(draw_rounds(arms()))
    places = {
        g.get("class", ""): [float(c.get("cx", "0")) for c in g.iter("circle")]
        for g in root.iter("g")
    }
    assert sorted(places["s0"] + places["s1"])[:2] == [places["s0"][0], places["s1"][0]]


def test_curves_rise_and_the_budget_is_optional() -> None:
    plain = draw_distribution(arms(), None)
    assert "budget" not in plain
    assert "budget 60 ms" in draw_distribution(arms(), 0.06)
    assert "budget" not in draw_distribution(arms(), 60.0)
    for curve in read_xml(plain).iter("polyline"):
        heights = [float(p.split(",")[1]) for p in str(curve.get("points")).split()]
        assert heights == sorted(heights, reverse=True)


def test_nothing_measured_draws_nothing() -> None:
    assert draw_rounds([]) == ""
    assert draw_distribution([], 0.06) == ""
