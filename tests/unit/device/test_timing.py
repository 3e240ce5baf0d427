"""The timed part, and the five ways of answering without computing.

The session here is simulated, with a clock of its own: computing takes time by the input's length.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from benchmarks.gate_backends import (
    Detecting,
    DetectingAndMemoising,
    Honest,
    Memoising,
    Skipping,
    Truncating,
    Zeros,
    some_feeds,
)
from deployopt.core.samples import Array
from deployopt.device.rounds import RoundPlan, timed_parts, warmed
from deployopt.device.timing import (
    KEPT_LEAST,
    LONGEST_KEPT,
    PROBES,
    REPEAT_RATIO_MIN,
    Pace,
    differing,
    draw_order,
    pick_probes,
    same_answer,
    time_requests,
    warm_up,
)

ROUNDS = 100


@pytest.fixture(autouse=True)
def _quick_collection() -> Iterator[None]:
    """Collecting before each timed part is slow only for what the test program holds."""
    gc.freeze()
    yield
    gc.unfreeze()


def _caught(backend: type[Honest], seed: int) -> bool:
    feeds = some_feeds(seed)
    honest = Honest(seed)
    expected = [{"y": honest.compute(feed)[0]} for feed in feeds]
    session = backend(seed)
    ready = warmed(session, ["y"], feeds, seed, session.clock)
    plan = RoundPlan(requests=60, min_s=0.0, seed=seed)
    parts = timed_parts(session, ["y"], feeds, plan, ready, Pace(clock=session.clock))
    kept = [item for part in parts for item in part.kept]
    ratio = parts[0].repeat_ratio
    assert ratio is not None
    return differing(kept, expected, ["y"]) > 0 or ratio < REPEAT_RATIO_MIN


@pytest.mark.parametrize(
    "backend", [Memoising, Zeros, Skipping, Truncating, Detecting, DetectingAndMemoising]
)
def test_a_cheating_backend_is_caught_in_every_round(backend: type[Honest]) -> None:
    assert all(_caught(backend, seed) for seed in range(ROUNDS))


def test_an_honest_backend_is_never_accused() -> None:
    assert not any(_caught(Honest, seed) for seed in range(ROUNDS))


def test_memoising_is_caught_by_the_probes_and_not_by_luck() -> None:
    feeds = some_feeds(1)
    session = Memoising(1)
    ready = warmed(session, None, feeds, 1, session.clock)
    plan = RoundPlan(requests=60, min_s=0.0, seed=1)
    (part,) = timed_parts(session, None, feeds, plan, ready, Pace(clock=session.clock))
    assert part.repeat_ratio is not None
    assert part.repeat_ratio < 0.3


def test_probes_are_not_seen_before_the_timed_part() -> None:
    feeds = some_feeds(3)
    seen: list[int] = []

    class Watching(Honest):
        def run(self, names: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
            seen.append(id(input_feed["x"]))
            return super().run(names, input_feed)

    session = Watching(3)
    warmed(session, None, feeds, 3, session.clock)
    probes = {id(feeds[i]["x"]) for i in pick_probes(len(feeds), 3)}
    assert len(probes) == PROBES
    assert not probes & set(seen)


def test_an_order_has_its_requests_its_probes_twice_and_the_longest_besides() -> None:
    sizes = list(range(100))
    probes = pick_probes(100, seed=5)
    order = draw_order(sizes, 150, probes, seed=5)
    assert len(order.feeds) == len(order.keep) == 150 + LONGEST_KEPT
    assert order.unmeasured.count(False) == 150
    assert all(order.feeds.count(i) == 2 for i in probes)
    assert sum(order.keep) >= KEPT_LEAST
    besides = {i for i, extra in zip(order.feeds, order.unmeasured, strict=True) if extra}
    assert besides == set([i for i in sizes if i not in probes][-LONGEST_KEPT:])
    assert all(keep for keep, extra in zip(order.keep, order.unmeasured, strict=True) if extra)
    assert draw_order(sizes, 150, probes, seed=5) == order
    assert draw_order(sizes, 150, probes, seed=6) != order


def test_a_tenth_is_kept_of_many_but_for_large_outputs() -> None:
    order = draw_order([1] * 50, 5000, (), seed=1)
    assert 501 <= sum(order.keep) <= 501 + LONGEST_KEPT
    order = draw_order([1] * 50, 5000, (), seed=1, keep_most=3)
    assert KEPT_LEAST <= sum(order.keep) <= KEPT_LEAST + LONGEST_KEPT


def test_few_feeds_have_no_probes_and_are_sent_around() -> None:
    assert pick_probes(9, seed=1) == ()
    assert len(pick_probes(10, seed=1)) == 5
    order = draw_order([1], 7, (), seed=1)
    assert order.feeds == (0,) * 8
    assert all(order.keep)


def test_only_the_answer_is_inside_the_clock_and_collection_is_off() -> None:
    collecting: list[bool] = []

    class Watching(Honest):
        def run(self, _: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
            collecting.append(gc.isenabled())
            self.now += 1_000_000
            return [input_feed["x"]]

    session = Watching(1)
    feeds = some_feeds(1, 20)
    order = draw_order([1] * 20, 40, (), seed=1)
    part = time_requests(session, None, feeds, order, Pace(clock=session.clock))
    assert part.samples_s == (0.001,) * 40
    assert not any(collecting)
    assert gc.isenabled()
    assert part.repeat_ratio is None


def test_warm_up_ends_when_windows_are_alike_and_at_the_latest_after_ten() -> None:
    class Drifting(Honest):
        def run(self, _: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
            self.calls += 1
            self.now += 1000 * self.calls if self.drifts else 5000
            return [input_feed["x"]]

        drifts = False

    steady = Drifting(1)
    durations, became = warm_up(steady, None, some_feeds(1, 20), steady.clock)
    assert (len(durations), became) == (75, True)
    assert durations[0] == 5e-6
    Drifting.drifts = True
    drifting = Drifting(1)
    durations, became = warm_up(drifting, None, some_feeds(1, 20), drifting.clock)
    assert (len(durations), became) == (250, False)


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ({"y": np.array([1.0, -2.0])}, True),
        ({"y": np.array([1.0, -2.0001])}, True),
        ({"y": np.array([1.0, -2.001])}, False),
        ({"y": np.array([[1.0, -2.0]])}, False),
        ({"z": np.array([1.0, -2.0])}, False),
        ({"y": np.array([1.0, np.nan])}, False),
    ],
)
def test_answers_are_compared_but_for_rounding(found: dict[str, Array], *, same: bool) -> None:
    assert same_answer(found, {"y": np.array([1.0, -2.0])}) is same


def test_whole_numbers_and_empty_outputs_are_compared_exactly() -> None:
    assert same_answer({"y": np.array([1, 2])}, {"y": np.array([1, 2])})
    assert not same_answer({"y": np.array([1, 3])}, {"y": np.array([1, 2])})
    assert same_answer({"y": np.zeros((0, 4))}, {"y": np.zeros((0, 4))})
