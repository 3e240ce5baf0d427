"""Ratios of interleaved rounds, and a race of two real sessions."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import pytest

from benchmarks.racing import Spec, Times, answers, on_cores, race, ratio
from deployopt.core.samples import encode_samples


def rounds(*values: float) -> list[Times]:
    return [Times(wall_ms=value, cpu_ms=value / 2) for value in values]


def test_a_ratio_is_the_mean_over_rounds_of_their_own() -> None:
    found = ratio({"slow": rounds(2, 8), "fast": rounds(1, 2)}, "slow", "fast")
    assert found.estimate == pytest.approx(math.sqrt(2 * 4))
    reach = 6.313752 * (math.log(4) - math.log(2)) / math.sqrt(2) / math.sqrt(2)
    assert found.high / found.estimate == pytest.approx(math.exp(reach))
    assert found.estimate / found.low == pytest.approx(math.exp(reach))


def test_drift_that_falls_on_both_does_not_count() -> None:
    found = ratio({"slow": rounds(3, 6, 9), "fast": rounds(1, 2, 3)}, "slow", "fast", "cpu")
    assert (found.low, found.estimate, found.high) == pytest.approx((3, 3, 3))


def test_two_sessions_race_over_the_same_requests(tmp_path: Path) -> None:
    feeds = [{"x": np.eye(3, dtype=np.float32)[None, at]} for at in range(3)]
    (tmp_path / "feeds.npz").write_bytes(encode_samples(feeds))
    specs = []
    for name, turns in (("as it is", [0, 1, 2]), ("turned", [1, 2, 0])):
        weight = np.eye(3, dtype=np.float32)[turns]
        graph = make.make_graph(
            [make.make_node("MatMul", ["x", "w"], ["logits"])],
            "g",
            [make.make_tensor_value_info("x", 1, [1, 3])],
            [make.make_tensor_value_info("logits", 1, [1, 3])],
            [onnx.numpy_helper.from_array(weight, "w")],
        )
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / f"{name}.onnx")
        path = str(tmp_path / f"{name}.onnx")
        feeds_path = str(tmp_path / "feeds.npz")
        spec = Spec(name=name, engine="onnxruntime", model=path, feeds=feeds_path)
        specs.append(on_cores(spec, 1))
    assert answers(specs[0]) == [0, 1, 2]
    assert answers(specs[1], 2) == [1, 2]
    found = race(specs, rounds=1, requests=5, count=3)
    assert {name: len(times) for name, times in found.items()} == {"as it is": 1, "turned": 1}
    assert all(0 < times[0].wall_ms < 1000 for times in found.values())


def test_a_runner_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "feeds.npz").write_bytes(encode_samples([{"x": np.zeros((1, 3), np.float32)}]))
    spec = Spec(
        name="gone",
        engine="onnxruntime",
        model=str(tmp_path / "gone.onnx"),
        feeds=str(tmp_path / "feeds.npz"),
    )
    with pytest.raises(SystemExit, match="gone failed"):
        answers(on_cores(spec, 1))
