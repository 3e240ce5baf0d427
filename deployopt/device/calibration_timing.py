"""How long each graph of a calibration takes here: several passes over all of them, void ones out.

In: graphs, threads, a deadline. Out: seconds by file, the median over passes of each pass's median
request. A pass is void for what the machine did meanwhile, never for its time. What did not count
even once before the deadline is left out.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

import msgspec
import numpy as np

from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.core.samples import Feed
from deployopt.device.calibration_graphs import CalibrationGraph
from deployopt.device.conditions import conditions_between, read_conditions, void_reason
from deployopt.device.session import Session, open_session
from deployopt.device.setup import Setup, silent
from deployopt.device.timing import Clock

PASSES: Final = 3
DEADLINE_S: Final = 180.0
_WARM: Final = 3
_WARM_S: Final = 0.03
_LEAST: Final = 8
_LEAST_S: Final = 0.12
_MOST: Final = 2000
_NS: Final = 1e-9

Measure = Callable[[CalibrationGraph, int], "Sample"]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over one graph."""

    seconds: float
    void: str | None


def time_graphs(
    graphs: Sequence[CalibrationGraph],
    threads: int,
    *,
    deadline_s: float = DEADLINE_S,
    progress: Callable[[float, str], None] = silent,
    measure: Measure | None = None,
    clock: Clock = time.perf_counter_ns,
) -> dict[str, float]:
    """Seconds by the graph's file; graphs that this runtime cannot open are left out."""
    found: dict[str, list[float]] = {graph.file: [] for graph in graphs}
    measure = measure or _measure
    open_ones = list(graphs)
    start = clock()
    while waiting := [g for g in open_ones if len(found[g.file]) < PASSES]:
        for graph in waiting:
            spent = (clock() - start) * _NS
            if spent > deadline_s:
                return _medians(found)
            done = sum(map(len, found.values())) / (PASSES * len(open_ones))
            progress(max(done, spent / deadline_s), graph.name)
            try:
                sample = measure(graph, threads)
            except (DeviceError, IntegrityError):
                open_ones.remove(graph)
                continue
            if sample.void is None:
                found[graph.file].append(sample.seconds)
    return _medians(found)


def _medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {file: median(lot) for file, lot in found.items() if lot}


def _measure(graph: CalibrationGraph, threads: int) -> Sample:
    session = open_session(Setup(artifact=graph.name, model=graph.path, threads=threads))
    return _timed(session, graph.shape, threads)


def _timed(session: Session, shape: tuple[int, ...], threads: int) -> Sample:
    feed = {"x": np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)}
    _requests(session, feed, _WARM, _WARM_S)
    before = read_conditions()
    samples = _requests(session, feed, _LEAST, _LEAST_S)
    conditions = conditions_between(before, read_conditions(), threads)
    return Sample(seconds=median(samples) * _NS, void=void_reason(conditions, threads))


def _requests(session: Session, feed: Feed, least: int, least_s: float) -> list[int]:
    """Nanoseconds of so many requests, in so many seconds at least."""
    samples: list[int] = []
    while len(samples) < _MOST and (len(samples) < least or sum(samples) * _NS < least_s):
        start = time.perf_counter_ns()
        session.run(None, feed)
        samples.append(time.perf_counter_ns() - start)
    return samples
