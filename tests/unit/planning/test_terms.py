"""The additive model by the datasheet alone."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.plan import Operation
from deployopt.planning.rates import setting_of
from deployopt.planning.targets import load_target
from deployopt.planning.terms import CONTENTION, TERMS, Setting, contention, crowding, terms


def pi() -> Setting:
    found = setting_of(load_target("rpi4"), Precision.FP32, "encoder")
    assert found is not None
    return found


def operation(kind: str, count: int = 1) -> Operation:
    return Operation(kind=kind, macs=5e8, weights=1e6, activations=2e6, count=count)


def test_the_terms_of_one_operator_by_hand() -> None:
    found = terms([operation("gemm", count=3)], pi())
    assert found["gemm"] == pytest.approx(3 * 2 * 5e8 / (0.40 * 57.6e9))
    assert found["weights"] == pytest.approx(3 * 4 * 1e6 / (0.7 * 5.5e9))
    assert found["activations"] == pytest.approx(3 * 4 * 2e6 / (0.5 * 5.5e9))
    assert found["overhead"] == pytest.approx(3 * 20e-6)
    assert sum(found.values()) == pytest.approx(
        found["gemm"] + found["weights"] + found["activations"] + found["overhead"]
    )


@pytest.mark.parametrize("kind", ["conv3x3", "conv", "depthwise", "conv1x1"])
def test_kinds_reach_a_share_of_the_peak(kind: str) -> None:
    at = pi()
    share = 2 * 5e8 / terms([operation(kind)], at)[kind] / at.operations
    assert 0 < share <= 0.45


def test_what_does_not_multiply_moves_values() -> None:
    found = terms([operation("unheard of")], pi())
    assert found["elementwise"] > 0
    assert {term for term in TERMS if found[term]} == {"weights", "elementwise", "overhead"}


def test_cores_with_little_bandwidth_are_in_each_others_way() -> None:
    assert contention("arm-cpu", 5.5e9, 4) > contention("arm-cpu", 34e9, 6)
    assert contention("arm-cpu", 1e9, 4) == 0.41
    assert contention("x86-cpu", 25e9, 2) < 0.1


def test_ordinary_cores_reach_more_of_their_peak() -> None:
    target = load_target("t4")
    short, whole = (setting_of(target, p, "encoder") for p in (Precision.FP16, Precision.FP32))
    assert short is not None
    assert whole is not None
    assert (short.plain, whole.plain) == (False, True)
    unlike = msgspec.structs.replace(whole, plain=False)
    ratio = terms([operation("gemm")], unlike)["gemm"] / terms([operation("gemm")], whole)["gemm"]
    assert 1.2 < ratio < 2


def test_a_demo_written_by_hand_is_a_habit_of_its_own() -> None:
    target = load_target("t4")
    runtime = msgspec.structs.replace(target.runtime, provider="tensorrt")
    at = setting_of(msgspec.structs.replace(target, runtime=runtime), Precision.FP16, "encoder")
    assert at is not None
    demo = msgspec.structs.replace(at, variant="tensorrt demo")
    assert terms([operation("gemm")], demo)["gemm"] < terms([operation("gemm")], at)["gemm"]


def test_cores_with_bandwidth_of_their_own_help() -> None:
    few, many = (crowding("arm-cpu", n, contention("arm-cpu", 50e9, 8)) for n in (4, 8))
    assert 8 * many > 4 * few
    assert crowding("arm-cpu", 4, contention("arm-cpu", 50e9, 4)) > 1.2
    assert crowding("arm-cpu", 4, CONTENTION) == pytest.approx(1)
