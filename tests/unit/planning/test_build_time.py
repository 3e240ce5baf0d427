"""The time of a build: more work takes longer, and the band is wide."""

import msgspec
import pytest

from deployopt.core.plan import Facts, Operation
from deployopt.planning.build_time import BAND, Work, build_seconds

FACTS = Facts(
    parameters=22_700_000,
    weight_bytes=90_800_000,
    operations=(Operation(kind="gemm", macs=5e8, weights=1e7, activations=1e5),),
    peak_activation_bytes=1_000_000,
    length=46,
    basis="made up",
)
WORK = Work(
    recipes=2, quantized=1, calibration=0, search=500, gate=3300, timing_s=15, exported=True
)


def seconds(facts: Facts = FACTS, work: Work = WORK, cores: int = 2) -> float:
    return build_seconds(facts, work, arch="x86_64", cores=cores).value


def test_a_build_of_the_demo_takes_a_minute_or_two() -> None:
    found = build_seconds(FACTS, WORK, arch="x86_64", cores=2)
    assert found.lower < 90 < found.upper  # measured: 84 to 106 s


@pytest.mark.parametrize(
    ("field", "more"),
    [("recipes", 4), ("quantized", 2), ("search", 5000), ("gate", 20_000), ("timing_s", 75)],
)
def test_more_work_takes_longer(field: str, more: int) -> None:
    assert seconds(work=msgspec.structs.replace(WORK, **{field: more})) > seconds()


def test_calibration_counts_where_something_is_quantized() -> None:
    static = msgspec.structs.replace(WORK, calibration=300)
    assert seconds(work=static) > seconds()
    none = msgspec.structs.replace(static, quantized=0)
    assert seconds(work=none) == seconds(work=msgspec.structs.replace(WORK, quantized=0))


def test_more_cores_are_faster_and_a_graph_needs_no_export() -> None:
    assert seconds(cores=8) < seconds()
    assert seconds(work=msgspec.structs.replace(WORK, exported=False)) < seconds() - 10


def test_the_band() -> None:
    found = build_seconds(FACTS, WORK, arch="riscv64", cores=0)
    assert found.lower == pytest.approx(found.value / BAND)
    assert found.upper == pytest.approx(found.value * BAND)
