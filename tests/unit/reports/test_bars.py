"""Budgets on one scale: the limit is at 100 %, what is far over is drawn at the edge."""

import msgspec
import pytest

from deployopt.reports.bars import draw_bars
from tests.fakes import results
from tests.fakes.markup import read_xml


@pytest.mark.parametrize("word", ["accepted", "rejected", "provisional", "undecided"])
def test_one_row_a_budget_in_the_colour_of_its_outcome(word: str) -> None:
    root = read_xml(draw_bars(results.verdict(word)))
    rows = [g for g in root.iter("g") if "w-" in g.get("class", "")]
    assert len(rows) == 4
    assert any(g.get("class", "").endswith(f"w-{word}") for g in rows)


def test_the_point_lies_on_the_right_side_of_the_limit() -> None:
    for word, inside in (("accepted", True), ("rejected", False)):
        root = read_xml(draw_bars(results.verdict(word)))
        limit = next(
            float(e.get("x1", "0")) for e in root.iter("line") if e.get("class") == "limit"
        )
        row = [g for g in root.iter("g") if "w-" in g.get("class", "")][2]
        dot = next(float(c.get("cx", "0")) for c in row.iter("circle"))
        assert (dot < limit) is inside


def test_far_over_stays_in_the_drawing_and_zero_budgets_are_left_out() -> None:
    verdict = results.verdict("rejected")
    far = msgspec.structs.replace(verdict.checks[2], observed=99.0, upper=120.0)
    none = msgspec.structs.replace(verdict.checks[0], limit=0.0)
    made = draw_bars(msgspec.structs.replace(verdict, checks=(none, far)))
    root = read_xml(made)
    assert all(0 <= float(c.get("cx", "0")) <= 480 for c in root.iter("circle"))
    assert len([g for g in root.iter("g") if "w-" in g.get("class", "")]) == 1
    assert draw_bars(msgspec.structs.replace(verdict, checks=(none,))) == ""
