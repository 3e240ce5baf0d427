"""The range of least information lost, against scipy and against ONNX Runtime's own calibrator."""

import numpy as np
import pytest
from onnxruntime.quantization.calibrate import HistogramCollector
from scipy.stats import entropy

from deployopt.core.samples import Array
from deployopt.graph import range_entropy
from deployopt.graph.range_entropy import divergence, least_loss_range
from deployopt.graph.ranges import RunningRange


def seen(values: Array) -> RunningRange:
    found = RunningRange()
    found.update(values.astype(np.float32))
    return found


def slow_divergence(counts: Array, first: int, last: int, levels: int) -> float:
    """The same in plain loops, the sum by scipy."""
    p = counts[first:last].astype(float)
    p[0] += counts[:first].sum()
    p[-1] += counts[last:].sum()
    q = np.zeros_like(p)
    groups: dict[int, list[int]] = {}
    for place in range(len(p)):
        groups.setdefault(place * levels // len(p), []).append(place)
    for places in groups.values():
        filled = [place for place in places if p[place] > 0]
        for place in filled:
            q[place] = sum(counts[first + other] for other in places) / len(filled)
    return float(entropy(p[p > 0], np.maximum(q[p > 0], 1e-4)))


@pytest.mark.parametrize("window", [(0, 4096), (1000, 3000), (2048, 2600), (1900, 2700)])
def test_the_divergence_is_scipys(window: tuple[int, int]) -> None:
    counts, _ = seen(np.random.default_rng(1).laplace(size=50_000)).histogram()
    assert divergence(counts, *window, levels=256) == pytest.approx(
        slow_divergence(counts, *window, 256), rel=1e-9
    )


def test_nothing_is_lost_where_every_bin_is_a_level() -> None:
    counts = np.arange(100)
    assert divergence(counts, 0, 100, levels=100) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", ["laplace", "heavy"])
def test_it_cuts_where_onnxruntime_cuts_the_same_histogram(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its 128 levels; it rounds the spread counts down, so a little is left to differ."""
    random = np.random.default_rng(2)
    values = {
        "laplace": random.laplace(size=500_000),
        "heavy": random.standard_t(4, 500_000),
    }[kind].astype(np.float32)
    reach = float(np.abs(values).max())
    counts, edges = np.histogram(values, 1024, range=(-reach, reach))
    collector = HistogramCollector("entropy", False, 1024, 128, 99.99, "same")  # noqa: FBT003 its own
    theirs = collector.get_entropy_threshold(
        (counts, edges.astype(np.float32), values.min(), values.max()), 128
    )
    monkeypatch.setattr(range_entropy, "LEVELS", 128)
    monkeypatch.setattr(range_entropy, "STRIDE", 1)
    low, high = least_loss_range(counts, edges, float(values.min()), float(values.max()))
    assert low == pytest.approx(float(theirs[0]), rel=0.15)
    assert high == pytest.approx(float(theirs[1]), rel=0.15)


def test_outliers_are_cut_and_a_plain_range_is_not() -> None:
    random = np.random.default_rng(3)
    plain = seen(random.uniform(-1, 1, 500_000))
    low, high = least_loss_range(*plain.histogram(), plain.lowest, plain.highest)
    assert (low, high) == pytest.approx((-1, 1), abs=0.02)
    wild = seen(np.concatenate([random.standard_normal(60_000), [500.0]]))
    low, high = least_loss_range(*wild.histogram(), wild.lowest, wild.highest)
    assert high < 100
    assert low == wild.lowest


def test_one_side_is_enough() -> None:
    found = seen(np.maximum(np.random.default_rng(4).standard_normal(60_000), 0))
    low, high = least_loss_range(*found.histogram(), found.lowest, found.highest)
    assert low == 0
    assert 2 < high <= found.highest
