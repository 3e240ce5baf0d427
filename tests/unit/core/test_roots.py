"""Crossings of monotone functions, found by bisection."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.roots import rising_root


@given(st.floats(-50.0, 50.0))
def test_finds_the_crossing(root: float) -> None:
    assert rising_root(lambda x: x - root, -100.0, 100.0) == pytest.approx(root, abs=1e-11)


def test_relative_precision_for_small_roots() -> None:
    assert rising_root(lambda x: math.log(x) + 18.0, 1e-12, 1.0) == pytest.approx(
        math.exp(-18.0), rel=1e-10
    )


@pytest.mark.parametrize(("offset", "end"), [(5.0, -1.0), (-5.0, 1.0)])
def test_without_a_crossing_the_nearer_end(offset: float, end: float) -> None:
    assert rising_root(lambda x: x + offset, -1.0, 1.0) == pytest.approx(end)
