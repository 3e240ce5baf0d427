"""Ranges seen bit by bit against numpy over everything at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployopt.graph.ranges import BINS, MOST_PER_UPDATE, RunningRange


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), max_size=30), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_extremes_are_exact_however_it_is_cut(chunks: list[list[float]]) -> None:
    found = RunningRange()
    for chunk in chunks:
        found.update(np.array(chunk, np.float32))
    everything = np.array([x for chunk in chunks for x in chunk], np.float32)
    if everything.size:
        assert found.range() == (everything.min(), everything.max())
        assert found.counts.sum() == everything.size


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99])
def test_percentiles_agree_with_numpy(percentile: float) -> None:
    random = np.random.default_rng(0)
    found, kept = RunningRange(), []
    for size in (0.1, 3.0, 1.0, 10.0):
        chunk = (random.standard_normal(50_000) * size).astype(np.float32)
        found.update(chunk.reshape(50, 1000))
        kept.append(chunk)
    tail = (100 - percentile) / 2
    expected = np.percentile(np.concatenate(kept), [tail, 100 - tail])
    assert found.range(percentile) == pytest.approx(expected, abs=4 * found.reach / BINS)


def test_one_wild_value_moves_the_whole_range_and_not_the_percentile() -> None:
    found = RunningRange()
    found.update(np.linspace(-1, 1, 60_000, dtype=np.float32))
    found.update(np.array([1000.0], np.float32))
    assert found.range()[1] == 1000.0
    assert found.range(99.9)[1] < 2.0


def test_large_arrays_are_thinned_but_their_extremes_are_not() -> None:
    values = np.zeros(20 * MOST_PER_UPDATE, np.float32)
    values[-2] = 7.0
    found = RunningRange()
    found.update(values)
    assert found.counts.sum() <= MOST_PER_UPDATE
    assert found.range() == (0.0, 7.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        RunningRange().update(np.array([0.0, bad], np.float32))
