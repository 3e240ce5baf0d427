"""Rates are found again in times that were made from them."""

import random

import pytest

from deployopt.core.additive import PACES, seconds, work_of
from deployopt.core.artifact import Precision
from deployopt.core.calibration import Pace
from deployopt.core.units import Bandwidth, Compute, Duration
from deployopt.device.calibration_fit import Point, fit_pace
from deployopt.device.calibration_graphs import calibration_graphs

TRUTH = Pace(
    gemm=Compute(40e9),
    conv1x1=Compute(30e9),
    conv3x3=Compute(35e9),
    conv=Compute(15e9),
    depthwise=Compute(4e9),
    weights=Bandwidth(6e9),
    activations=Bandwidth(8e9),
    elementwise=Bandwidth(2e9),
    overhead=Duration(20e-6),
    band=1.2,
    points=1,
)
SUGGESTED = dict.fromkeys(("gemm", "conv1x1", "conv3x3", "conv", "depthwise"), 30e9) | {
    "weights": 5e9,
    "activations": 5e9,
    "elementwise": 5e9,
    "overhead": 5e-6,
}


def points(noise: float = 0.0) -> list[Point]:
    chance = random.Random(1)  # noqa: S311 -- noise, not a secret
    works = [
        (work_of(g.operations, integer=False)[0], g.whole)
        for g in calibration_graphs()
        if g.precision is Precision.FP32
    ]
    return [
        Point(work=w, seconds=seconds(w, TRUTH) * (1 + chance.gauss(0, noise)), whole=whole)
        for w, whole in works
    ]


def test_exact_times_give_the_rates_back() -> None:
    """Depthwise work goes with its activations, so that the two share what they cost."""
    found = fit_pace(points(), SUGGESTED)
    for name in ("gemm", "conv1x1", "conv3x3", "conv", "elementwise", "overhead"):
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name), rel=0.2), name
    for point in points():
        assert seconds(point.work, found) == pytest.approx(point.seconds, rel=0.1)
    assert found.band == 1.15
    assert found.points == len(points())


def test_whole_models_are_predicted_through_noise_and_the_band_grows_with_it() -> None:
    found = fit_pace(points(0.15), SUGGESTED)
    for point in points():
        if point.whole:
            assert seconds(point.work, found) == pytest.approx(point.seconds, rel=0.12)
    assert fit_pace(points(0.4), SUGGESTED).band > found.band


def test_what_the_graphs_leave_open_stays_as_suggested() -> None:
    few = [p for p in points() if not p.work.get("depthwise")]
    assert fit_pace(few, SUGGESTED).depthwise == pytest.approx(SUGGESTED["depthwise"], rel=0.01)


def test_without_whole_models_the_band_promises_nothing() -> None:
    assert fit_pace([p for p in points() if not p.whole], SUGGESTED).band == 50


def test_rates_stay_above_zero_where_operators_seem_to_cost_nothing() -> None:
    free = [
        Point(work=p.work, seconds=p.seconds, whole=p.whole, base_s=p.seconds) for p in points()
    ]
    found = fit_pace(free, SUGGESTED)
    assert all(0 < getattr(found, name) < 1e13 for name in PACES)


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        fit_pace([], SUGGESTED)
