"""This machine's own coefficients for latency predictions, from operators and small models.

In: a target that was detected here. Out: a Calibration for it. Takes one to three minutes. Refuses
where too few graphs could be timed: the machine was busy, or is too slow for this.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import onnxruntime

from deployopt.core.additive import Work, seconds, work_of
from deployopt.core.artifact import Precision
from deployopt.core.calibration import Calibration, Pace
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.target import Target
from deployopt.core.watching import SILENT, Watcher
from deployopt.device.calibration_fit import Point, fit_pace
from deployopt.device.calibration_graphs import CalibrationGraph, calibration_graphs
from deployopt.device.calibration_timing import DEADLINE_S, time_graphs
from deployopt.device.setup import silent

_WHOLE_MIN: Final = 3
"""Whole models that a band needs."""
_SHARE_MIN: Final = 0.6
"""Of a precision's graphs, that must have been timed."""
_OVERHEAD_S: Final = {"aarch64": 20e-6, "x86_64": 5e-6}

# What the probes suggest of each field: the share of the peak of products, of copying's bandwidth.
_OF_PEAK: Final = {"gemm": 0.9, "conv1x1": 0.8, "conv3x3": 0.8, "conv": 0.6, "depthwise": 0.1}
_OF_BANDWIDTH: Final = {"weights": 0.7, "activations": 1.0, "elementwise": 0.5}


def calibrated(target: Target, watcher: Watcher = SILENT) -> Target:
    """The target that was detected here, with its calibration."""
    _require_cpu(target)
    watcher.stage("Calibrate", quiet=True)
    return msgspec.structs.replace(target, calibration=calibrate(target, progress=watcher.advance))


def calibrate(
    target: Target,
    *,
    deadline_s: float = DEADLINE_S,
    progress: Callable[[float, str], None] = silent,
    today: dt.date | None = None,
) -> Calibration:
    """Time the graphs and fit.

    Raises:
        UsageError: the target does not run on the CPU.
        DeviceError: too little could be timed before the deadline.
    """
    _require_cpu(target)
    graphs = calibration_graphs()
    threads = target.runtime.threads
    times = time_graphs(graphs, threads, deadline_s=deadline_s, progress=progress)
    fp32 = _fp32(graphs, times, target)
    day = today or dt.datetime.now(tz=dt.UTC).date()
    return Calibration(
        as_of=day.isoformat(),
        runtime=f"onnxruntime {onnxruntime.__version__}, {target.runtime.provider}",
        threads=threads,
        fp32=fp32,
        int8=_int8(graphs, times, target, fp32),
    )


def _require_cpu(target: Target) -> None:
    if target.runtime.provider != "cpu":
        raise UsageError(
            f"{target.name} runs on {target.runtime.provider}; a calibration times the CPU only. "
            "Leave --calibrate out."
        )


def _fp32(graphs: Sequence[CalibrationGraph], times: Mapping[str, float], target: Target) -> Pace:
    lot = [g for g in graphs if g.precision is Precision.FP32]
    points = [
        Point(work=work_of(g.operations, integer=False)[0], seconds=times[g.file], whole=g.whole)
        for g in lot
        if g.file in times
    ]
    if not _enough(points, len(lot)):
        raise DeviceError(
            f"Only {len(points)} of {len(lot)} graphs could be timed: something else keeps this "
            "machine busy, or it is too slow. Run it again when nothing else runs."
        )
    return fit_pace(points, _suggested(target, float(target.hardware.peak.fp32)))


def _int8(
    graphs: Sequence[CalibrationGraph], times: Mapping[str, float], target: Target, fp32: Pace
) -> Pace | None:
    """None where the runtime ran too few of the 8-bit graphs."""
    lot = [g for g in graphs if g.precision is Precision.INT8]
    points = []
    for graph in lot:
        if graph.file in times:
            floats, integers = work_of(graph.operations, integer=True)
            points.append(_point(graph, times[graph.file], integers, seconds(floats, fp32)))
    if not _enough(points, len(lot)):
        return None
    peak = target.hardware.peak
    return fit_pace(points, _suggested(target, float(peak.int8 or peak.fp32)))


def _point(graph: CalibrationGraph, took_s: float, work: Work, base_s: float) -> Point:
    return Point(work=work, seconds=took_s, whole=graph.whole, base_s=base_s)


def _enough(points: Sequence[Point], there: int) -> bool:
    whole = sum(point.whole for point in points)
    return whole >= _WHOLE_MIN and len(points) >= _SHARE_MIN * there


def _suggested(target: Target, peak: float) -> dict[str, float]:
    bandwidth = float(target.hardware.bandwidth)
    return (
        {name: share * peak for name, share in _OF_PEAK.items()}
        | {name: share * bandwidth for name, share in _OF_BANDWIDTH.items()}
        | {"overhead": _OVERHEAD_S[target.hardware.arch]}
    )
