"""Rates by instruction set, provider and threads."""

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.target import Target
from deployopt.planning.rates import rates, thread_share
from deployopt.planning.targets import load_target


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


def test_static_int8_moves_bytes() -> None:
    target = load_target("rpi5")
    assert rates(target, Precision.INT8, convolutional=True).activation_bytes == 1.0
    assert rates(target, Precision.INT8).activation_bytes == 4.0


def with_threads(target: Target, threads: int) -> Target:
    runtime = msgspec.structs.replace(target.runtime, threads=threads)
    return msgspec.structs.replace(target, runtime=runtime)
