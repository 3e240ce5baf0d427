"""The plot of a search: what stands where, and nothing that cannot be drawn breaks it."""

import re

import msgspec
import pytest

from deployopt.core.paired import LossBounds
from deployopt.reports.search_plot import draw_search
from tests.fakes import results, search
from tests.fakes.markup import read_xml


def marks(svg: str, css: str) -> int:
    return sum(e.get("class") == css for e in read_xml(svg).iter())


def test_candidates_full_shapes_faint_and_the_rest_at_the_foot() -> None:
    svg = draw_search(search.build(), None)
    assert marks(svg, "dot") == 7  # the eighth candidate failed
    assert marks(svg, "ring") == 1
    # Eight recipes were trained: one failed, two are candidates.
    assert marks(svg, "open") == 5
    assert marks(svg, "rug") == 40 - 7
    assert len(re.findall(r'class="s0 faint"', svg)) == 5


def test_a_shape_stands_once_with_its_last_training() -> None:
    kept = search.profile(4, 0.25)
    both = (search.training(kept, 1, 3), search.training(kept, 0, 30))
    svg = draw_search(search.build(search=search.search_result(trainings=both)), None)
    assert marks(svg, "open") == 1
    assert "4 layers, ffn 25 %, int8: 0.183 x float, 0.25 pt lost" in svg


def test_the_latency_budget_is_drawn_only_where_it_compares() -> None:
    result = search.build("accepted")
    assert ">latency budget<" in draw_search(result, 0.025)
    assert ">latency budget<" not in draw_search(result, None)
    assert ">latency budget<" not in draw_search(result, 10.0)
    assert "budget 1 pt" in draw_search(result, None)


def test_what_loses_far_more_does_not_press_the_others_together() -> None:
    huge = msgspec.structs.replace(
        search.training(search.profile(2), 1, 9),
        loss=LossBounds(estimate=0.5, lower=0.47, upper=0.53),
    )
    svg = draw_search(search.build(search=search.search_result(trainings=(huge,))), None)
    (faint,) = [e for e in read_xml(svg).iter("circle") if e.get("class") == "open"]
    assert float(faint.get("cy", "0")) == 30.0
    assert "50.00 pt lost" in svg


@pytest.mark.parametrize("name", search.SEARCHES)
def test_everything_stays_inside(name: str) -> None:
    svg = draw_search(search.SEARCHES[name], 0.06)
    assert "nan" not in svg
    for element in read_xml(svg).iter():
        for side, most in (("x", 960), ("cx", 960), ("x1", 960), ("x2", 960), ("y", 440)):
            assert 0 <= float(element.get(side, "0")) <= most


def test_nothing_to_draw() -> None:
    assert draw_search(results.build_result(), None) == ""
    bare = msgspec.structs.replace(search.build(), candidates=())
    assert draw_search(bare, None) == ""
    failed = msgspec.structs.replace(search.build(), candidates=(results.failed(),))
    assert draw_search(failed, None) == ""
