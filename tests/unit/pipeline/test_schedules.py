"""A build's expected time follows what it would do and where."""

import pytest

from deployopt.core.artifact import Format, Precision
from deployopt.core.evidence import Evidence
from deployopt.core.plan import Facts, Operation
from deployopt.pipeline.forecasting import Way
from deployopt.pipeline.schedules import Site, Sizes, expected_build

SIZES = Sizes(calibration=300, search=500, gate=3000)
FACTS = Facts(
    parameters=25_000_000,
    weight_bytes=100_000_000,
    operations=(Operation(kind="conv3x3", macs=4e9, weights=2e7, activations=1e6),),
    peak_activation_bytes=1_000_000,
    basis="made up",
)


def way(reason: str = "dynamic int8", precision: Precision = Precision.INT8) -> Way:
    return Way(name=precision.value, reason=reason, precision=precision)


def expected(
    *ways: Way, form: Format = Format.TRANSFORMERS, evidence: Evidence = Evidence.PROXY
) -> float:
    site = Site(arch="x86_64", cores=2, evidence=evidence)
    found = expected_build(FACTS, ways, form, SIZES, site)
    assert found is not None
    return found.value


def test_nothing_is_expected_of_an_unknown_model() -> None:
    site = Site(arch="x86_64", cores=2, evidence=Evidence.PROXY)
    assert expected_build(None, (way(),), Format.ONNX, SIZES, site) is None


def test_static_quantization_runs_the_calibration_examples() -> None:
    assert expected(way("static int8 with calibration")) > expected(way())
    plain = way("static", Precision.FP32)
    assert expected(plain) == pytest.approx(expected(way("plain", Precision.FP32)))


def test_on_the_target_itself_rounds_are_longer_and_a_graph_is_not_exported() -> None:
    assert expected(way(), evidence=Evidence.TARGET) > expected(way())
    assert expected(way(), form=Format.ONNX) < expected(way())
    assert expected(way(), way()) > expected(way())
