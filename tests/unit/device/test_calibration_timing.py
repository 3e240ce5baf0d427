"""Passes over graphs: void ones out, a deadline kept, what cannot run left out."""

import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.calibration_graphs import CalibrationGraph, calibration_graphs
from deployopt.device.calibration_timing import PASSES, Sample, time_graphs

FEW = calibration_graphs()[:4]


class Clock:
    """A second a look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1_000_000_000
        return self.now


def test_the_median_over_passes() -> None:
    asked: list[str] = []

    def measure(graph: CalibrationGraph, threads: int) -> Sample:
        asked.append(graph.file)
        assert threads == 2
        return Sample(seconds=[1.0, 9.0, 2.0][asked.count(graph.file) - 1], void=None)

    found = time_graphs(FEW, 2, measure=measure)
    assert found == {graph.file: 2.0 for graph in FEW}
    assert asked == [graph.file for graph in FEW] * PASSES


def test_a_void_pass_is_asked_again_and_never_counts() -> None:
    asked: list[str] = []

    def measure(graph: CalibrationGraph, _: int) -> Sample:
        asked.append(graph.file)
        noisy = asked.count(graph.file) < 3
        return Sample(seconds=99.0 if noisy else 1.0, void="steal" if noisy else None)

    assert time_graphs(FEW[:1], 1, measure=measure) == {FEW[0].file: 1.0}
    assert len(asked) == 2 + PASSES


def test_the_deadline_ends_it_and_what_never_counted_is_left_out() -> None:
    clock = Clock()

    def measure(graph: CalibrationGraph, _: int) -> Sample:
        return Sample(seconds=1.0, void="steal" if graph is FEW[0] else None)

    found = time_graphs(FEW, 1, deadline_s=30, measure=measure, clock=clock)
    assert found == {graph.file: 1.0 for graph in FEW[1:]}
    assert clock.now < 33e9


def test_a_graph_that_this_runtime_cannot_open_is_left_out() -> None:
    def measure(graph: CalibrationGraph, _: int) -> Sample:
        if graph is FEW[1]:
            raise DeviceError("no kernel")
        return Sample(seconds=1.0, void=None)

    assert FEW[1].file not in time_graphs(FEW, 1, measure=measure)


def test_a_real_graph_is_timed() -> None:
    small = next(g for g in calibration_graphs() if g.name == "elementwise-small")
    found = time_graphs([small], 1, deadline_s=5)
    assert found.get(small.file, 1e-5) == pytest.approx(1e-4, rel=20)
