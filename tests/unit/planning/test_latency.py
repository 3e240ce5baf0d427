"""Median requests: properties that hold of every target, and figures measured elsewhere."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployopt.core.artifact import Precision
from deployopt.core.plan import Operation
from deployopt.core.target import Target
from deployopt.core.units import Bandwidth, Compute
from deployopt.planning.coefficients import Coefficients
from deployopt.planning.latency import Timing, domain_of, time_request, time_setting
from deployopt.planning.rates import setting_of
from deployopt.planning.targets import load_target, target_names

KINDS = ("gemm", "conv1x1", "conv3x3", "conv", "depthwise", "elementwise")
PRECISIONS = (Precision.FP32, Precision.FP16, Precision.INT8, Precision.INT4)
counts = st.floats(min_value=0, max_value=1e12)
operations = st.builds(
    Operation,
    kind=st.sampled_from(KINDS),
    macs=counts,
    weights=st.floats(min_value=0, max_value=1e10),
    activations=st.floats(min_value=0, max_value=1e10),
    count=st.integers(min_value=1, max_value=500),
)
requests = st.lists(operations, min_size=1, max_size=6)
targets = st.sampled_from(target_names()).map(load_target)
precisions = st.sampled_from(PRECISIONS)


def timed(target: Target, request: list[Operation], precision: Precision) -> Timing:
    found = time_request(target, request, precision, "encoder")
    assert found is not None
    return found


@given(targets, requests, precisions)
@settings(max_examples=60, deadline=None)
def test_times_are_finite_and_above_zero(
    target: Target, request: list[Operation], precision: Precision
) -> None:
    found = timed(target, request, precision)
    assert 0 < found.seconds < math.inf
    assert 1 < found.band < 10
    assert found.basis


@given(targets, requests, precisions, st.integers(0, 5), st.floats(1, 100))
@settings(max_examples=60, deadline=None)
def test_more_work_is_never_faster(
    target: Target, request: list[Operation], precision: Precision, at: int, more: float
) -> None:
    chosen = request[at % len(request)]
    heavier = msgspec.structs.replace(
        chosen,
        macs=chosen.macs * more,
        weights=chosen.weights * more,
        activations=chosen.activations * more,
    )
    grown = [heavier if o is chosen else o for o in request]
    assert timed(target, grown, precision).seconds >= timed(target, request, precision).seconds


@given(targets, requests, precisions, st.floats(1, 8))
@settings(max_examples=60, deadline=None)
def test_more_bandwidth_and_more_peak_are_never_slower(
    target: Target, request: list[Operation], precision: Precision, more: float
) -> None:
    hardware = target.hardware
    peak = hardware.peak
    raised = msgspec.structs.replace(
        peak,
        **{
            name: Compute(getattr(peak, name) * more)
            for name in peak.__struct_fields__
            if getattr(peak, name) is not None
        },
    )
    wide = msgspec.structs.replace(hardware, bandwidth=Bandwidth(hardware.bandwidth * more))
    fast = msgspec.structs.replace(hardware, peak=raised)
    slowest = timed(target, request, precision).seconds * (1 + 1e-9)
    for better in (wide, fast):
        if (better is wide) and target.hardware.arch == "aarch64" and hardware.gpu is not None:
            continue  # with a server's bandwidth it is no Jetson any more
        changed = msgspec.structs.replace(target, hardware=better)
        assert timed(changed, request, precision).seconds <= slowest


def test_two_gpus_share_the_work() -> None:
    target = load_target("a100x4")
    request = [Operation(kind="gemm", macs=1e12, weights=1e9, activations=1e7)]
    one, two = (time_request(target, request, Precision.FP16, "decode", devices=n) for n in (1, 2))
    assert one is not None
    assert two is not None
    assert two.seconds == pytest.approx(one.seconds / 2, rel=0.02)


def test_by_the_datasheet_alone_the_band_is_widest() -> None:
    at = setting_of(load_target("rpi4"), Precision.FP32, "encoder")
    assert at is not None
    request = [Operation(kind="gemm", macs=5e8, weights=1e6, activations=2e6)]
    found = time_setting(at, request, "encoder", Coefficients())
    by_hand = 2 * 5e8 / (0.40 * 57.6e9) + 4 * 1e6 / (0.7 * 5.5e9) + 4 * 2e6 / (0.5 * 5.5e9) + 20e-6
    assert found.seconds == pytest.approx(by_hand)
    assert found.band == 2.5
    assert found.basis.startswith("datasheet only")


def test_most_of_the_work_says_what_it_is() -> None:
    gemm = Operation(kind="gemm", macs=3.0, weights=1, activations=1)
    conv = Operation(kind="conv1x1", macs=4.0, weights=1, activations=1)
    assert domain_of([gemm, conv]) == "convolution"
    assert domain_of([gemm, gemm, conv]) == "encoder"
    assert domain_of([]) == "encoder"


@pytest.mark.parametrize("name", ["x86-cpu", "rpi4"])
def test_int8_gains_little_without_a_dot_product(name: str) -> None:
    request = [Operation(kind="gemm", macs=1e8, weights=6e5, activations=2e5, count=36)]
    whole, short = (timed(load_target(name), request, p) for p in (Precision.FP32, Precision.INT8))
    assert 0.7 < short.seconds / whole.seconds < 1.3
