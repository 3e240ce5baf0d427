"""Symmetric quantization: bounds, errors, axes."""

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from deployopt.graph.quantize_weights import Floats, quantize_symmetric

FINITE = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)


@given(arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2), elements=FINITE))
@settings(max_examples=200, deadline=None)
def test_every_weight_comes_back_within_half_a_step(weight: Floats) -> None:
    for axis in (None, 0, 1):
        integers, scale = quantize_symmetric(weight, axis)
        steps = scale if axis is None else np.expand_dims(scale, 1 - axis)
        error = np.abs(integers * steps - weight)
        assert (error <= steps * 0.5 * (1 + 1e-4)).all()
        assert np.abs(integers.astype(int)).max() <= 127


@pytest.mark.parametrize(("reduce_range", "limit"), [(False, 127), (True, 64)])
def test_the_largest_weight_gets_the_limit(limit: int, *, reduce_range: bool) -> None:
    weight = np.array([[0.5, -2.0], [1.0, 0.25]], np.float32)
    integers, scale = quantize_symmetric(weight, reduce_range=reduce_range)
    assert integers.min() == -limit
    assert scale == pytest.approx(2 / limit)


def test_reduced_range_cannot_saturate_16_bits() -> None:
    integers, _ = quantize_symmetric(np.array([[9.0, -9.0]], np.float32), reduce_range=True)
    assert 255 * int(np.abs(integers).max()) * 2 < 2**15


def test_zero_rows_stay_zero_with_scale_one() -> None:
    integers, scale = quantize_symmetric(np.zeros((3, 2), np.float32), axis=0)
    assert not integers.any()
    assert (scale == 1).all()


def test_one_scale_a_channel_follows_each_channel() -> None:
    weight = np.array([[1.0, 100.0], [-0.5, 50.0]], np.float32)
    _, scale = quantize_symmetric(weight, axis=1)
    assert scale == pytest.approx([1 / 127, 100 / 127])
