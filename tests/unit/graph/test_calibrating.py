"""Calibration holds one request at a time and sees all of them."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.calibrating import Calibration, Observing, observe, range_of
from deployopt.graph.ranges import BINS, RunningRange

NAMES = ["image", "c1", "r1", "logits"]


def run(
    model: onnx.ModelProto, feeds: Iterator[dict[str, Array]], folder: Path
) -> dict[str, RunningRange]:
    how = Observing(scratch=folder / "scratch.onnx", threads=1, seen=lambda _: None)
    return observe(model, NAMES, feeds, how)


def images(count: int) -> Iterator[dict[str, Array]]:
    random = np.random.default_rng(0)
    for _ in range(count):
        yield {"image": random.standard_normal((1, 3, 16, 16)).astype(np.float32)}


def test_ranges_are_those_of_all_requests(conv_model: onnx.ModelProto, tmp_path: Path) -> None:
    seen = run(conv_model, images(9), tmp_path)
    found = {name: range_of(values, "minmax", 99.0) for name, values in seen.items()}
    pixels = np.stack([feed["image"] for feed in images(9)])
    assert found["image"] == (pixels.min(), pixels.max())
    assert found["r1"][0] == 0.0
    assert found["c1"][0] < 0 < found["c1"][1]
    assert set(found) == set(NAMES)
    assert list(tmp_path.iterdir()) == []


def test_inputs_alone_and_nothing_at_all_can_be_watched(
    conv_model: onnx.ModelProto, tmp_path: Path
) -> None:
    how = Observing(scratch=tmp_path / "scratch.onnx", threads=1, seen=lambda _: None)
    found = observe(conv_model, ["image"], images(2), how)
    assert found["image"].lowest == min(feed["image"].min() for feed in images(2))
    assert observe(conv_model, [], images(2), how) == {}


def test_memory_does_not_grow_with_the_requests(
    conv_model: onnx.ModelProto, tmp_path: Path
) -> None:
    run(conv_model, images(2), tmp_path)
    peaks = []
    for count in (5, 200):
        tracemalloc.start()
        run(conv_model, images(count), tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


def test_a_request_that_is_not_finite_is_named(conv_model: onnx.ModelProto, tmp_path: Path) -> None:
    feeds = [*images(2), {"image": np.full((1, 3, 16, 16), np.nan, np.float32)}]
    with pytest.raises(StepError, match="'image' is not finite for calibration sample 2"):
        run(conv_model, iter(feeds), tmp_path)


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy", "mse"])
def test_every_calibration_stays_within_what_was_seen(
    calibration: Calibration, conv_model: onnx.ModelProto, tmp_path: Path
) -> None:
    for name, seen in run(conv_model, images(5), tmp_path).items():
        low, high = range_of(seen, calibration, 99.9)
        assert seen.lowest <= low < high <= seen.highest, name


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy", "mse"])
@pytest.mark.parametrize("values", [[0.0], [2.5], [-1.0, -1.0], [0.0, 3.0]])
def test_constant_values_have_a_range_too(calibration: Calibration, values: list[float]) -> None:
    seen = RunningRange()
    seen.update(np.array(values, np.float32))
    low, high = range_of(seen, calibration, 99.9)
    assert np.isfinite([low, high]).all()
    width = 2 * seen.reach / BINS
    assert min(low, 0.0) <= min(values) + width
    assert max(high, 0.0) >= max(values) - width
