"""What a request on a target can use: by instruction set, provider and threads."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.target import Target
from deployopt.planning.rates import setting_of
from deployopt.planning.targets import load_target
from deployopt.planning.terms import Domain, Setting, thread_share


def rates(target: Target, precision: Precision, domain: Domain = "encoder") -> Setting:
    found = setting_of(target, precision, domain)
    assert found is not None
    return found


def int8_gain(name: str) -> float:
    target = load_target(name)
    return rates(target, Precision.INT8).operations / rates(target, Precision.FP32).operations


def test_int8_pays_by_instruction_set() -> None:
    assert 1.1 <= int8_gain("rpi4") <= 1.5
    assert int8_gain("rpi5") == pytest.approx(2.6)
    assert int8_gain("x86-cpu") == 1.0
    assert int8_gain("t4") > 10


def test_half_precision_pays_on_a_gpu_only() -> None:
    pi, gpu = load_target("rpi5"), load_target("l4")
    assert rates(pi, Precision.FP16).operations == rates(pi, Precision.FP32).operations
    assert rates(gpu, Precision.FP16).operations > 3 * rates(gpu, Precision.FP32).operations


def test_float_products_are_tf32_only_where_it_is_on() -> None:
    whole, short = (rates(load_target("a100"), p) for p in (Precision.FP32, Precision.TF32))
    assert (whole.arithmetic, short.arithmetic) == ("fp32", "tf32")
    assert short.operations == pytest.approx(8 * whole.operations)
    t4 = rates(load_target("t4"), Precision.TF32)
    assert t4.arithmetic == "fp32"
    assert "no tf32" in t4.note


@pytest.mark.parametrize("precision", [Precision.TF32, Precision.FP8])
def test_a_cpu_has_none_of_them(precision: Precision) -> None:
    assert setting_of(load_target("x86-cpu"), precision, "encoder") is None


def test_four_bit_weights_are_read_as_such_and_computed_in_float() -> None:
    whole, short = (rates(load_target("rpi5"), p) for p in (Precision.FP32, Precision.INT4))
    assert short.operations == whole.operations
    assert short.weight_bytes == pytest.approx(whole.weight_bytes * 4.25 / 32)
    assert "computed in fp32" in short.note


def test_one_request_uses_one_gpu() -> None:
    one, four = (rates(load_target(name), Precision.FP16) for name in ("a100", "a100x4"))
    assert four.operations == pytest.approx(one.operations)
    assert four.bandwidth == pytest.approx(one.bandwidth)


def test_four_threads_of_a_pi_are_not_four_times_one() -> None:
    assert 1 / thread_share(1, 4) == pytest.approx(1.8, rel=0.02)
    assert thread_share(4, 4) == 1.0
    assert thread_share(8, 4) == 1.0
    single = with_threads(load_target("rpi4"), 1)
    whole = rates(load_target("rpi4"), Precision.FP32).operations
    assert rates(single, Precision.FP32).operations == pytest.approx(whole / 1.8, rel=0.02)
    assert rates(single, Precision.FP32).single


def test_two_cores_of_a_pc_are_nearly_twice_one() -> None:
    single = rates(with_threads(load_target("x86-cpu"), 1), Precision.FP32)
    both = rates(load_target("x86-cpu"), Precision.FP32)
    assert 1.8 < both.operations / single.operations < 2


def test_static_int8_moves_bytes() -> None:
    target = load_target("rpi5")
    assert rates(target, Precision.INT8, "convolution").activation_bytes == 1.0
    assert rates(target, Precision.INT8).activation_bytes == 4.0


def test_float8_is_predicted_by_its_own_peak_where_a_card_has_one() -> None:
    known = rates(load_target("rtx4090"), Precision.FP8)
    assert known.operations == pytest.approx(330e12)
    assert "as int8 was measured" in known.note
    assert (known.weight_bytes, known.activation_bytes) == (1.0, 1.0)
    without = rates(load_target("a100"), Precision.FP8)
    assert without.arithmetic == "fp16"
    assert "computed in fp16" in without.note


def test_devices_of_the_fitted_tables_are_known_again() -> None:
    names = {n: rates(load_target(n), Precision.FP32).device for n in ("rpi4-2gb", "a100", "t4")}
    assert names == {"rpi4-2gb": "rpi4", "a100": "a100_40", "t4": "t4"}
    assert rates(load_target("x86-cpu"), Precision.FP32).device is None


def test_a_jetson_is_one_by_its_processor_and_its_bandwidth() -> None:
    jetson = load_target("jetson-orin-nano")
    assert rates(jetson, Precision.FP16).kind == "jetson-gpu"
    runtime = msgspec.structs.replace(jetson.runtime, provider="cpu")
    cores = rates(msgspec.structs.replace(jetson, runtime=runtime), Precision.FP32)
    assert (cores.kind, cores.device) == ("arm-cpu", "jetson_orin_nano_cpu")


def with_threads(target: Target, threads: int) -> Target:
    runtime = msgspec.structs.replace(target.runtime, threads=threads)
    return msgspec.structs.replace(target, runtime=runtime)
