"""The learning rate: up, down to zero, by steps or by the clock."""

import pytest

from deployopt.modeling.distilling.schedule import progress, rate


def test_up_then_down_to_zero() -> None:
    assert rate(0.0, 0.1) == 0
    assert rate(0.05, 0.1) == pytest.approx(0.5)
    assert rate(0.1, 0.1) == pytest.approx(1.0)
    assert rate(0.55, 0.1) == pytest.approx(0.5)
    assert rate(1.0, 0.1) == pytest.approx(0.0)
    assert rate(1.3, 0.1) == pytest.approx(0.0)
    assert rate(0.0, 0.0) == pytest.approx(1.0)


def test_whatever_runs_out_first_counts() -> None:
    assert progress(5, 10, 1e9, None) == 0.5
    assert progress(5, 10, 60.0, 600.0) == 0.5
    assert progress(1, 10, 300.0, 600.0) == 0.5
    assert progress(1, 10, 700.0, 600.0) > 1
    assert progress(0, 0, 1.0, 0.0) > 1
