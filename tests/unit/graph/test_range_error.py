"""The range of least squared error against rounding every value by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from deployopt.core.samples import Array
from deployopt.graph.range_error import STEPS, least_error_range, squared_errors
from deployopt.graph.ranges import RunningRange


def seen(values: Array) -> RunningRange:
    found = RunningRange()
    found.update(values.astype(np.float32))
    return found


def rounded_error(values: Array, low: float, high: float) -> float:
    """What 8 bits over the range do to the values themselves."""
    width = (high - low) / STEPS
    zero = np.rint(-low / width)
    integers = np.clip(np.rint(values / width) + zero, 0, STEPS)
    return float(np.mean(((integers - zero) * width - values) ** 2))


def drawn(kind: str, size: int = 20_000) -> Array:
    random = np.random.default_rng(5)
    if kind == "normal":
        return random.standard_normal(size)
    if kind == "laplace":
        return random.laplace(size=size)
    if kind == "heavy":
        return random.standard_t(3, size)
    if kind == "relu":
        return np.maximum(random.standard_normal(size), 0)
    if kind == "skewed":
        return random.exponential(size=size) - 0.2
    return np.concatenate([random.standard_normal(size), [40.0, -35.0]])


KINDS = ["normal", "laplace", "heavy", "relu", "skewed", "outliers"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_range_of_a_grid_rounds_much_better(kind: str) -> None:
    values = drawn(kind)
    found = seen(values)
    low, high = least_error_range(*found.histogram(), found.lowest, found.highest)
    error = rounded_error(values, low, high)
    shares = np.linspace(0.05, 1, 20)
    tried = [
        rounded_error(values, a * min(found.lowest, 0), b * found.highest)
        for a in (shares if found.lowest < 0 else [0])
        for b in shares
    ]
    assert error <= 1.02 * min(tried)
    assert error <= rounded_error(values, min(found.lowest, 0), found.highest) * 1.001


@pytest.mark.parametrize("kind", KINDS)
def test_no_pair_of_edges_is_better(kind: str) -> None:
    found = seen(drawn(kind))
    counts, edges = found.histogram()
    low, high = least_error_range(counts, edges, found.lowest, found.highest)
    lows = np.append(edges[(edges <= 0) & (edges > found.lowest)], min(found.lowest, 0))
    highs = np.append(edges[(edges >= 0) & (edges < found.highest)], found.highest)
    best = min(
        squared_errors(counts, edges, lows[at : at + 1], highs).min()
        for at in range(0, len(lows), 3)
    )
    assert squared_errors(counts, edges, np.array([low]), np.array([high]))[0, 0] <= best * (
        1 + 1e-9
    )


def test_a_normal_one_is_cut_where_theory_cuts_it() -> None:
    """Clipping at t costs 2 * int_t (x - t)**2 and rounding (2t/255)**2 / 12."""
    from scipy.integrate import quad
    from scipy.stats import norm

    def cost(t: float) -> float:
        clipped = 2 * quad(lambda x: (x - t) ** 2 * norm.pdf(x), t, t + 12)[0]
        return float(clipped + (2 * t / STEPS) ** 2 / 12)

    best = minimize_scalar(cost, bounds=(1, 6), method="bounded").x
    found = seen(np.random.default_rng(0).standard_normal(1_000_000))
    low, high = least_error_range(*found.histogram(), found.lowest, found.highest)
    assert -low == pytest.approx(best, rel=0.05)
    assert high == pytest.approx(best, rel=0.05)


def test_zeros_of_a_relu_do_not_count() -> None:
    """Zero is exact at any width, so a thousandfold of zeros changes nothing."""
    values = drawn("relu")
    some, many = seen(values), seen(np.concatenate([values, np.zeros(values.size // 2)]))
    assert least_error_range(*some.histogram(), some.lowest, some.highest) == pytest.approx(
        least_error_range(*many.histogram(), many.lowest, many.highest), rel=1e-9
    )


@given(
    st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=60),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_the_summed_error_is_that_of_each_bin(chunk: list[float], a: float, b: float) -> None:
    found = seen(np.array(chunk))
    counts, edges = found.histogram()
    low, high = a * min(found.lowest, 0), b * max(found.highest, 0)
    middles = (edges[:-1] + edges[1:]) / 2
    inside = (middles >= low) & (middles < high)
    expected = sum(
        count
        * (((high - low) / STEPS) ** 2 / 12 if within else min(abs(x - low), abs(x - high)) ** 2)
        for x, count, within in zip(middles, counts, inside, strict=True)
        if count
    )
    summed = squared_errors(counts, edges, np.array([low]), np.array([high]))[0, 0]
    assert summed == pytest.approx(expected, rel=1e-6, abs=1e-6)
