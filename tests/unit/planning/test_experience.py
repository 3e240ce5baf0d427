"""What measurements teach predictions."""

import math

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.calibration import Calibration, Pace
from deployopt.core.experience import Experience, premises_of
from deployopt.core.units import Bandwidth, Compute, Duration
from deployopt.planning.experience import Correction, learn
from deployopt.planning.targets import load_target

PI = load_target("rpi4")
replace = msgspec.structs.replace


def seen(model: int, ratio: float, **changes: object) -> Experience:
    one = Experience(
        target="rpi4",
        machine="m" * 64,
        premises=premises_of(PI),
        model=f"{model}",
        artifact="b" * 64,
        runtime="cpu 1.31.1",
        precision=Precision.INT8,
        convolutional=False,
        metric="latency_p95",
        predicted=0.05,
        measured=0.05 * ratio,
        samples=120,
    )
    return replace(one, **changes)


def learned(*experiences: Experience) -> Correction | None:
    return learn(experiences, PI, Precision.INT8, convolutional=False)


def certain(*experiences: Experience) -> Correction:
    found = learned(*experiences)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "rpi5"},
        {"premises": "other coefficients"},
        {"precision": Precision.FP32},
        {"convolutional": True},
        {"metric": "memory_peak"},
        {"metric": "unheard_of"},
        {"runtime": "cuda 1.31.1"},
        {"measured": math.nan},
    ],
)
def test_only_like_experience_counts(changes: dict[str, object]) -> None:
    assert learned(seen(1, 2.0, **changes)) is None
    assert certain(seen(1, 2.0)).points == 1


def test_nothing_seen_corrects_nothing() -> None:
    assert learned() is None


def test_few_points_move_it_part_of_the_way() -> None:
    factors = [certain(*(seen(k, 2.0) for k in range(n))).factor for n in (1, 2, 5, 20)]
    assert factors == sorted(factors)
    assert 1.4 < factors[0] < 1.75
    assert 1.9 < factors[-1] < 2.0


def test_one_model_measured_twenty_times_is_one_point() -> None:
    once = certain(seen(1, 2.0))
    again = certain(*(seen(1, 2.0, artifact=f"{k}") for k in range(20)))
    assert again == once


def test_an_outlier_does_not_carry_the_day() -> None:
    good = [seen(k, 1.5) for k in range(4)]
    assert certain(*good, seen(9, 60.0)).factor == pytest.approx(certain(*good).factor, rel=0.03)


def test_the_band_is_that_of_the_tier_or_what_the_spread_says() -> None:
    assert 1.7 < certain(seen(1, 1.5)).band < 2.0
    alike = certain(*(seen(k, 1.5) for k in range(4))).band
    assert 1.3 < alike < 1.6
    apart = certain(*(seen(k, r) for k, r in enumerate((0.5, 1.0, 2.0, 4.0)))).band
    assert apart > 2.0


def test_two_machines_under_one_name_are_not_mixed() -> None:
    here = [seen(k, 1.2) for k in range(3)]
    there = [seen(k, 9.0, machine="n" * 64) for k in range(2)]
    newer = [seen(7, 9.0, runtime="cpu 1.40.0")]
    assert certain(*there, *here, *newer) == certain(*here)


def test_a_narrow_band_is_trusted_more_and_never_widened_by_one_point() -> None:
    narrow = learn([seen(1, 2.0)], PI, Precision.INT8, convolutional=False, band=1.3)
    assert narrow is not None
    assert 1 < narrow.factor < certain(seen(1, 2.0)).factor
    for band in (1.15, 1.3, 1.6, 2.5):
        found = learn([seen(1, 1.1)], PI, Precision.INT8, convolutional=False, band=band)
        assert found is not None
        assert found.band < band


def test_an_experience_from_before_a_calibration_teaches_nothing() -> None:
    rate, move = Compute(1e10), Bandwidth(1e9)
    pace = Pace(
        gemm=rate, conv1x1=rate, conv3x3=rate, conv=rate, depthwise=rate, weights=move,
        activations=move, elementwise=move, overhead=Duration(1e-6), band=1.2, points=20,
    )  # fmt: skip
    known = replace(
        PI,
        calibration=Calibration(
            as_of="2026-01-01", runtime="onnxruntime 1.31.1, cpu", threads=4, fp32=pace, int8=pace
        ),
    )
    there = seen(1, 2.0, premises=premises_of(known))
    assert learn([seen(1, 2.0)], known, Precision.INT8, convolutional=False) is None
    assert learn([there], known, Precision.INT8, convolutional=False) is not None


def test_the_sentence_says_what_it_rests_on() -> None:
    assert certain(seen(1, 1.0)).sentence == (
        "x 1 learned from 1 model measured on such a device (cpu 1.31.1)"
    )
