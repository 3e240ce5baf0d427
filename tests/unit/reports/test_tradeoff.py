"""What the Pareto plot of a language model shows: time a token against likelihood lost."""

import msgspec
import pytest

from deployopt.reports.html import build_page
from deployopt.reports.tradeoff import (
    limits_of,
    measured_at_home,
    measured_points,
    predicted_points,
    tradeoff_of,
)
from tests.fakes import results
from tests.fakes.language import language_build


def test_a_rate_becomes_a_time_with_its_bounds_exchanged() -> None:
    build = language_build()
    way = tradeoff_of(build)
    assert way is not None
    points = measured_points(build, way)
    assert [p.name for p in points] == ["float", "int8", "int4, k-quant"]
    int8 = points[1]
    assert int8.chosen
    assert int8.x[0] == pytest.approx(18.98, rel=0.01)
    assert (int8.x[1] or 99) < int8.x[0] < (int8.x[2] or 0)
    assert int8.y[0] == pytest.approx(0.61, abs=0.01)
    assert limits_of(build, way) == (25.0, 2.0)
    assert way.units == ("ms", "%")


def test_a_prediction_is_turned_too() -> None:
    build = language_build(proxy=True)
    way = tradeoff_of(build)
    assert way is not None
    assert not measured_at_home(build, way)
    point = predicted_points(build, way)[1]
    assert point.x == pytest.approx((18.9 / 1.1, 18.9 / 1.6, 18.9 / 0.7))


def test_a_classifiers_axes_are_latency_and_loss() -> None:
    build = results.build_result()
    way = tradeoff_of(build)
    assert way is not None
    assert way.titles == ("latency p95 (ms)", "accuracy lost (pt)")
    assert limits_of(build, way) == (60.0, 1.0)
    assert len(predicted_points(build, way)) == len(measured_points(build, way)) == 2


def test_without_a_loss_there_is_nothing_to_draw() -> None:
    failed = msgspec.structs.replace(results.build_result(), candidates=(results.failed(),))
    assert tradeoff_of(failed) is None


def test_the_page_of_a_language_model() -> None:
    page = build_page(language_build()).decode()
    for part in ("increase of the NLL (%)", "time a token after the first (ms)", "budget 25 ms"):
        assert part in page
    for part in (
        "NLL increase",
        "First token p95",
        "Tokens a second",
        "2.13 x float",
        "52.7 tok/s",
    ):
        assert part in page
    assert "accuracy" not in page.casefold()
