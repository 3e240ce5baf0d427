"""Waiting, against a simulated queue and at its limits."""

import math
import random

import numpy as np
import pytest

from deployopt.core.evidence import Estimate
from deployopt.planning.queueing import answered, with_waiting

ALONE = Estimate(value=0.01, lower=0.008, upper=0.015, coverage=0.8, basis="a model")


def simulated(load: float, quantile: float) -> float:
    """The quantile of latency over service time in a queue with constant service."""
    lot = random.Random(7)  # noqa: S311 -- a simulation
    now = free = 0.0
    found = []
    for _ in range(200_000):
        now += lot.expovariate(load)
        free = max(free, now) + 1.0
        found.append(free - now)
    return float(np.quantile(found, quantile))


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("quantile", [0.9, 0.95, 0.99])
def test_the_tail_is_near_that_of_a_simulated_queue(load: float, quantile: float) -> None:
    found = with_waiting(ALONE, load / ALONE.value, quantile)
    assert found.value / ALONE.value == pytest.approx(simulated(load, quantile), rel=0.1)
    assert found.lower < found.value < found.upper
    assert "and waiting" in found.basis


def test_more_than_can_be_answered_waits_for_ever() -> None:
    found = with_waiting(ALONE, 80.0, 0.95)
    assert math.isfinite(found.value)
    assert found.upper == math.inf
    assert with_waiting(ALONE, 200.0, 0.95).lower == math.inf


def test_no_more_is_answered_than_comes() -> None:
    possible = Estimate(value=100.0, lower=60.0, upper=150.0, coverage=0.8, basis="a model")
    found = answered(possible, 80.0)
    assert (found.value, found.lower, found.upper) == (80.0, 60.0, 80.0)
