"""Int8 where it gains on a CPU, half precision on a GPU, the highest that fits for texts."""

from collections.abc import Callable

import pytest

from deployopt.core.artifact import Precision
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.candidate import Footing
from deployopt.planning.recommending.precisions import (
    advised,
    gain_of,
    precisions_for,
    runtime_for,
)
from deployopt.planning.targets import load_target

Stand = Callable[..., Footing]
FP32, FP16, BF16 = Precision.FP32, Precision.FP16, Precision.BF16
INT8, INT4 = Precision.INT8, Precision.INT4


@pytest.mark.parametrize(
    ("target", "task", "wanted"),
    [
        ("rpi4", ModelTask.TEXT_CLASSIFICATION, (FP32, INT8)),
        ("rpi5", ModelTask.TEXT_GENERATION, (INT8, INT4)),
        ("t4", ModelTask.OBJECT_DETECTION, (FP16, INT8)),
        ("t4", ModelTask.TEXT_GENERATION, (FP16, INT8, INT4)),
        ("rtx3060", ModelTask.TEXT_GENERATION, (BF16, INT8, INT4)),
    ],
)
def test_which_are_looked_at(target: str, task: ModelTask, wanted: tuple[Precision, ...]) -> None:
    assert precisions_for(load_target(target), task) == wanted


@pytest.mark.parametrize(("seconds", "wanted"), [(0.05, INT8), (0.097, FP32), (None, FP32)])
def test_a_cpu_takes_int8_only_for_a_gain(
    stand: Stand, seconds: float | None, wanted: Precision
) -> None:
    found = advised([stand(0.1, FP32), stand(seconds, INT8)], gains=True)
    assert found is not None
    assert found.precision is wanted


def test_a_gpu_keeps_half_precision_while_it_fits_and_is_in_time(stand: Stand) -> None:
    half, quick = stand(0.1, FP16), stand(0.01, INT8)
    assert advised([half, quick], gains=False) is half
    tight = stand(0.1, FP16, Standing.UNSETTLED)
    assert advised([tight, quick], gains=False) is quick
    late = stand(0.1, FP16, within=Standing.OUTSIDE)
    prompt = stand(0.01, INT8, within=Standing.INSIDE)
    assert advised([late, prompt], gains=False) is prompt


def test_none_where_none_fits(stand: Stand) -> None:
    assert advised([stand(0.1, FP32, Standing.OUTSIDE)], gains=True) is None


def test_a_gain_needs_both_times(stand: Stand) -> None:
    assert gain_of(stand(0.05, INT8), [stand(0.1)]) == pytest.approx(2.0)
    assert gain_of(stand(None, INT8), [stand(0.1)]) is None


def test_nothing_gains_over_itself(stand: Stand) -> None:
    assert gain_of(stand(0.1), [stand(0.1), stand(0.05, INT8)]) is None


def test_the_runtime_is_one_that_the_target_has() -> None:
    task = ModelTask.TEXT_GENERATION
    assert runtime_for(load_target("rpi5"), task, INT4) == "ONNX Runtime GenAI, CPU"
    assert "llama.cpp" in runtime_for(load_target("jetson-orin-nano"), task, INT4)
    assert "vLLM" in runtime_for(load_target("l4"), task, BF16)
    assert runtime_for(load_target("rpi4"), ModelTask.TEXT_CLASSIFICATION, INT8) == (
        "ONNX Runtime, CPU"
    )
