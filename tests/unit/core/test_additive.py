"""The additive model: float and 8-bit work apart, added up by hand."""

import pytest

from deployopt.core.additive import calibrated_seconds, is_convolutional, work_of
from deployopt.core.artifact import Precision
from deployopt.core.calibration import Calibration, Pace
from deployopt.core.plan import Operation
from deployopt.core.units import Bandwidth, Compute, Duration

GEMM = Operation(kind="gemm", macs=1e6, weights=1e4, activations=1e3, count=2)
SCORES = Operation(kind="gemm", macs=1e5, weights=0, activations=1e3)
SUM = Operation(kind="elementwise", macs=0, weights=10, activations=1e3, count=3)
CONV = Operation(kind="conv3x3", macs=1e8, weights=1e4, activations=1e5)


def pace(scale: float = 1.0) -> Pace:
    return Pace(
        gemm=Compute(1e10 * scale),
        conv1x1=Compute(2e10 * scale),
        conv3x3=Compute(3e10 * scale),
        conv=Compute(4e10 * scale),
        depthwise=Compute(5e10 * scale),
        weights=Bandwidth(1e9 * scale),
        activations=Bandwidth(2e9 * scale),
        elementwise=Bandwidth(4e9 * scale),
        overhead=Duration(1e-6 / scale),
        band=1.3,
        points=20,
    )


def calibration(int8: Pace | None = None) -> Calibration:
    return Calibration(
        as_of="2026-01-01", runtime="onnxruntime 1.31.1, cpu", threads=2, fp32=pace(), int8=int8
    )


def test_float_operators_add_up() -> None:
    product = 2 * (2e6 / 1e10 + 4e4 / 1e9 + 4e3 / 2e9 + 1e-6)
    moved = 3 * ((1e3 + 10) * 4 / 4e9 + 1e-6)
    found = calibrated_seconds(calibration(), (GEMM, SUM), Precision.FP32)
    assert found == pytest.approx(product + moved)


def test_a_dynamic_int8_transformer_is_integer_only_where_it_has_weights() -> None:
    floats, integers = work_of((GEMM, SCORES, SUM), integer=True)
    assert floats == {
        "gemm": 2e5,
        "weights": 0,
        "activations": 4e3,
        "elementwise": 3 * 1010 * 4,
        "overhead": 4,
    }
    assert integers == {"gemm": 4e6, "weights": 2e4, "activations": 8e3, "overhead": 2}
    whole = calibrated_seconds(calibration(pace(4.0)), (GEMM, SCORES, SUM), Precision.INT8)
    alone = calibrated_seconds(calibration(), (SCORES, SUM), Precision.FP32)
    assert alone is not None
    product = 2 * (2e6 / 4e10 + 1e4 / 4e9 + 4e3 / 8e9 + 0.25e-6)
    assert whole == pytest.approx(alone + product)


def test_a_static_int8_net_holds_bytes_throughout() -> None:
    assert is_convolutional((CONV, SUM))
    floats, integers = work_of((CONV, SUM), integer=True)
    assert floats == {}
    assert (integers["activations"], integers["elementwise"]) == (1e5, 3 * 1010)


def test_what_was_not_measured_is_not_predicted() -> None:
    assert calibrated_seconds(calibration(), (GEMM,), Precision.INT8) is None
    assert calibrated_seconds(calibration(pace()), (GEMM,), Precision.FP16) is None
    assert calibrated_seconds(calibration(pace()), (GEMM,), Precision.MIXED) is not None
