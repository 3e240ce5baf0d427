"""Predictions of a calibrated target rest on its calibration."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.plan import Operation
from deployopt.core.target import Target
from deployopt.planning.calibrated import calibrated_latency
from deployopt.planning.targets import load_target
from tests.unit.core.test_additive import calibration

GEMM = (Operation(kind="gemm", macs=1e9, weights=0, activations=0),)
replace = msgspec.structs.replace


def known(threads: int = 2) -> Target:
    pi = load_target("rpi4")
    runtime = replace(pi.runtime, threads=threads)
    return replace(pi, calibration=calibration(), runtime=runtime)


def test_seconds_band_and_basis_are_the_calibration_s() -> None:
    found = calibrated_latency(known(), GEMM, Precision.FP32)
    assert found is not None
    assert found[0] == pytest.approx(2e9 / 1e10 + 1e-6)
    assert found[1] == 1.3
    assert found[2] == (
        "calibrated on the device on 2026-01-01 (onnxruntime 1.31.1, cpu, 20 graphs)"
    )


def test_other_threads_are_scaled() -> None:
    two, four = (calibrated_latency(known(n), GEMM, Precision.FP32) for n in (2, 4))
    assert two is not None
    assert four is not None
    assert 1.1 < two[0] / four[0] < 2


def test_what_was_not_calibrated_is_not_told() -> None:
    assert calibrated_latency(load_target("rpi4"), GEMM, Precision.FP32) is None
    assert calibrated_latency(known(), GEMM, Precision.INT8) is None
    cuda = replace(load_target("t4"), calibration=calibration())
    assert cuda.runtime.provider != "cpu"
    assert calibrated_latency(cuda, GEMM, Precision.FP32) is None
