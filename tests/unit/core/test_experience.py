"""A prediction beside a measurement."""

import math

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.experience import (
    Foreseen,
    Measured,
    Seat,
    experiences_of,
    machine_digest,
    premises_of,
    runtime_words,
)
from deployopt.planning.targets import load_target
from tests.fakes.results import MACHINE

SEAT = Seat(
    target="rpi4", machine="m", runtime="cpu 1.31.1", artifact="b", precision=Precision.INT8
)
replace = msgspec.structs.replace


def foreseen(**values: float) -> Foreseen:
    return Foreseen(
        premises="p",
        model="a",
        convolutional=False,
        estimates={n: Estimate(value=v, lower=v, upper=v, basis="x") for n, v in values.items()},
    )


def test_one_for_each_metric_that_was_predicted_and_measured() -> None:
    measured = {
        "latency_p95": Measured(value=0.06, samples=120),
        "memory_peak": Measured(value=1e8, samples=5),
    }
    (found,) = experiences_of(SEAT, foreseen(latency_p95=0.05, energy=0.2), measured)
    assert (found.metric, found.ratio, found.samples) == ("latency_p95", 1.2, 120)
    assert (found.model, found.premises, found.machine) == ("a", "p", "m")


@pytest.mark.parametrize(("predicted", "measured"), [(0.0, 1.0), (1.0, math.inf), (1.0, 0.0)])
def test_what_has_no_ratio_is_left_out(predicted: float, measured: float) -> None:
    found = {"latency_p95": Measured(value=measured, samples=1)}
    assert experiences_of(SEAT, foreseen(latency_p95=predicted), found) == ()


def test_machines_of_one_make_are_alike() -> None:
    assert machine_digest(MACHINE) == machine_digest(replace(MACHINE, kernel="7", affinity=(1,)))
    assert machine_digest(MACHINE) != machine_digest(replace(MACHINE, cores=4))
    assert machine_digest(MACHINE) != machine_digest(MACHINE, ("NVIDIA T4",))


def test_other_figures_are_other_premises() -> None:
    target = load_target("rpi4")
    budgets = {"latency_p95": "9 ms"}
    assert premises_of(target) == premises_of(replace(target, name="mine", budgets=budgets))
    fewer = replace(target, runtime=replace(target.runtime, threads=1))
    assert premises_of(target) != premises_of(fewer)


def test_the_runtime_is_told_with_its_version() -> None:
    assert runtime_words("cpu", {"onnxruntime": "1.31.1"}) == "cpu 1.31.1"
    assert runtime_words("cuda", {}) == "cuda ?"
    both = {"onnxruntime": "1.31.1", "openvino": "2026.4.1"}
    assert runtime_words("cpu", both) == "cpu 1.31.1"
    assert runtime_words("cpu", both, "openvino") == "openvino 2026.4.1"


def test_a_plan_is_not_mistaken_for_onnx_runtimes_provider() -> None:
    packages = {"onnxruntime-gpu": "1.31.1", "tensorrt-cu13": "10.14.1"}
    assert runtime_words("tensorrt", packages) == "tensorrt 1.31.1"
    assert runtime_words("tensorrt-plan", packages, "tensorrt") == "tensorrt-plan 10.14.1"
    assert runtime_words("tensorrt-plan", {}, "tensorrt") == "tensorrt-plan ?"
