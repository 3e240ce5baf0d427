"""When warm-up ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.steady import WarmUpWatch, warm_up


def test_even_from_the_start_needs_three_windows() -> None:
    warm = warm_up([1.0] * 500)
    assert (warm.requests, warm.stable) == (75, True)


def test_a_slow_start_is_left_behind() -> None:
    warm = warm_up([3.0] * 25 + [1.5] * 25 + [1.0] * 200)
    assert (warm.requests, warm.stable) == (125, True)


def test_never_steady_is_flagged_after_ten_windows() -> None:
    warm = warm_up([float(1 + (i // 25) % 2) for i in range(1_000)])
    assert (warm.requests, warm.stable) == (250, False)


def test_a_slow_drift_is_not_steady() -> None:
    assert not warm_up([1.06 ** (i // 25) for i in range(250)]).stable
    assert warm_up([1.04 ** (i // 25) for i in range(250)]).requests == 75


@pytest.mark.parametrize(("last", "stable"), [(1.0999, True), (1.1001, False)])
def test_within_ten_percent(last: float, *, stable: bool) -> None:
    assert warm_up([1.0] * 50 + [last] * 25).stable is stable


def test_cut_short_counts_what_was_seen() -> None:
    warm = warm_up([1.0] * 60)
    assert (warm.requests, warm.stable) == (60, False)


def test_streamed() -> None:
    watch = WarmUpWatch()
    answers = [watch.add(2.0) for _ in range(80)]
    assert answers == [False] * 74 + [True] * 6
    assert watch.result.requests == 75


@given(st.lists(st.floats(1e-6, 1e3), max_size=400), st.floats(0.01, 100.0))
def test_the_unit_does_not_matter(durations: list[float], unit: float) -> None:
    warm = warm_up(durations)
    assert warm.requests <= min(len(durations), 250)
    if warm.stable:
        assert warm.requests % 25 == 0
    assert warm_up([1.0] * 75 + durations).requests == 75
    assert warm_up([unit] * 75).stable


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), float("inf")])
def test_a_broken_clock_is_refused(duration: float) -> None:
    with pytest.raises(ValueError, match="finite and positive"):
        WarmUpWatch().add(duration)


def test_requests_of_many_passes_are_windows_by_themselves() -> None:
    watch = WarmUpWatch(1)
    assert [watch.add(duration) for duration in (3.0, 1.05, 1.0, 1.02)] == [False] * 3 + [True]
    assert (watch.result.requests, watch.result.stable) == (4, True)
