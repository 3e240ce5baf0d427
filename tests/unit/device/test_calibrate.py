"""A calibration from times that a known device would show."""

import datetime as dt

import msgspec
import pytest

from deployopt.core.additive import calibrated_seconds
from deployopt.core.artifact import Precision
from deployopt.core.calibration import Calibration
from deployopt.core.codec import decode_toml
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.target import Target
from deployopt.device import calibrate as module
from deployopt.device.calibrate import calibrate, calibrated
from deployopt.device.calibration_graphs import calibration_graphs
from deployopt.device.detect import to_toml
from deployopt.planning.targets import load_target
from tests.unit.core.test_additive import pace

PI = load_target("rpi4")
TRUTH = Calibration(
    as_of="2026-01-01", runtime="as it was made", threads=4, fp32=pace(), int8=pace(2.5)
)
TODAY = dt.date(2026, 3, 4)


def times(**left_out: str) -> dict[str, float]:
    found = {
        g.file: calibrated_seconds(TRUTH, g.operations, g.precision) or 0.0
        for g in calibration_graphs()
        if g.precision.value != left_out.get("precision")
    }
    assert min(found.values()) > 0
    return found


def shown(monkeypatch: pytest.MonkeyPatch, found: dict[str, float]) -> None:
    monkeypatch.setattr(module, "time_graphs", lambda *_, **__: found)


def test_the_device_s_own_times_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, times())
    found = calibrate(PI, today=TODAY)
    assert (found.as_of, found.threads) == ("2026-03-04", PI.runtime.threads)
    for graph in calibration_graphs():
        if graph.whole:
            told = calibrated_seconds(found, graph.operations, graph.precision)
            assert told == pytest.approx(times()[graph.file], rel=0.12), graph.file
    assert found.int8 is not None
    assert found.int8.band < 1.3


def test_it_is_written_to_the_target_s_file_and_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, times())
    target = calibrated(PI)
    text = to_toml(target)
    assert decode_toml(text.encode(), Target, where="x") == target
    assert "[calibration.fp32]" in text
    integers = text.partition("[calibration.int8]")[2].partition("\n[")[0]
    assert "GOP/s" in integers
    assert "FLOP" not in integers


def test_without_8_bit_graphs_there_is_no_such_table(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, times(precision="int8"))
    assert calibrate(PI).int8 is None
    assert calibrated_seconds(calibrate(PI), (), Precision.INT8) is None


def test_a_busy_machine_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, dict(list(times().items())[:12]))
    with pytest.raises(DeviceError, match="busy"):
        calibrate(PI)


def test_a_gpu_s_target_is_refused() -> None:
    runtime = msgspec.structs.replace(load_target("t4").runtime, provider="cuda")
    with pytest.raises(UsageError, match="CPU only"):
        calibrated(msgspec.structs.replace(load_target("t4"), runtime=runtime))
