"""A round lasts for its requests and its time."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from deployopt.core.errors import DeviceError
from deployopt.core.samples import Array, Feed
from deployopt.device import timing
from deployopt.device.rounds import RoundPlan, Warmed, arrivals, timed_parts, warmed
from deployopt.device.session import Named
from deployopt.device.timing import REQUESTS_MAX, Pace, TimedPart, pick_probes


class Timed:
    """Each request takes `ns`, until it is told to be faster."""

    def __init__(self, ns: int) -> None:
        self.ns = ns
        self.now = 0
        self.calls = 0

    def get_outputs(self) -> Sequence[Named]:
        return []

    def clock(self) -> int:
        return self.now

    def run(self, _: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        self.calls += 1
        self.now += self.ns
        return [input_feed["x"]]


FEEDS: list[Feed] = [{"x": np.full((1, 2), i, dtype=np.float32)} for i in range(30)]


def _count(session: Timed, plan: RoundPlan, guess_s: float) -> int:
    warm = Warmed(first_s=guess_s, warmup_s=(), steady=True, guess_s=guess_s, answer_bytes=8)
    parts = timed_parts(session, None, FEEDS, plan, warm, Pace(clock=session.clock))
    return sum(len(part.samples_s) for part in parts)


def test_a_slow_model_answers_the_requests_and_a_fast_one_fills_the_time() -> None:
    assert _count(Timed(100_000_000), RoundPlan(requests=60, min_s=2.0, seed=1), 0.1) == 60
    assert _count(Timed(1_000_000), RoundPlan(requests=60, min_s=2.0, seed=1), 0.001) >= 2000


def test_a_model_that_became_faster_goes_on_until_the_time_is_filled() -> None:
    session = Timed(1_000_000)
    assert _count(session, RoundPlan(requests=60, min_s=2.0, seed=1), 0.004) >= 2000
    assert session.now >= 2_000_000_000


def test_a_very_fast_model_ends_at_the_most_requests() -> None:
    assert _count(Timed(10), RoundPlan(requests=60, min_s=2.0, seed=1), 1e-8) == REQUESTS_MAX


class Shapes(Timed):
    """Keeps what was sent; refuses a first row of twos."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.seen: list[Array] = []

    def run(self, _: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        self.seen.append(input_feed["x"])
        if (input_feed["x"][0, :1] == 2).any():
            raise DeviceError("not a request")
        return super().run(_, input_feed)


def test_the_probes_shapes_are_known_before_they_come_and_they_are_not() -> None:
    session = Shapes()
    pool: list[Feed] = [{"x": np.arange(3, 4 + n)[None]} for n in range(30)]
    pool[pick_probes(30, 1)[0]] = {"x": np.array([[3, 2]])}
    warmed(session, None, pool, 1, session.clock)
    sent = {tuple(x[0]) for x in session.seen}
    for index in pick_probes(30, 1):
        probe = tuple(pool[index]["x"][0])
        assert tuple(reversed(probe)) in sent
        assert len(probe) == 1 or probe not in sent


def test_one_shape_for_all_needs_no_rehearsal() -> None:
    session = Timed(1_000_000)
    ready = warmed(session, None, FEEDS, 1, session.clock)
    assert session.calls == len(ready.warmup_s) + 1


def test_the_first_answer_is_kept_apart_from_the_warm_up() -> None:
    session = Timed(1_000_000)
    ready = warmed(session, None, FEEDS, 1, session.clock)
    assert ready.first_s == ready.guess_s == 0.001
    assert ready.steady
    assert session.calls == len(ready.warmup_s) + 1


def served(service_s: float, rate: float, monkeypatch: pytest.MonkeyPatch) -> list[TimedPart]:
    """Requests that come at `rate` to a model that takes `service_s`, on a clock of its own."""
    session = Timed(int(service_s * 1e9))

    def sleep(seconds: float) -> None:
        session.now += max(1, int(seconds * 1e9))

    monkeypatch.setattr(timing, "_sleep", sleep)
    plan = RoundPlan(requests=4000, min_s=1.0, seed=3, arrivals_per_s=rate)
    warm = Warmed(first_s=service_s, warmup_s=(), steady=True, guess_s=service_s, answer_bytes=8)
    return timed_parts(session, None, FEEDS, plan, warm, Pace(clock=session.clock))


def test_arrivals_are_a_poisson_process_and_the_same_for_the_same_seed() -> None:
    plan = RoundPlan(requests=1, min_s=0.0, seed=5, arrivals_per_s=50.0)
    times = arrivals(20_000, plan)
    assert times is not None
    gaps = np.diff((0.0, *times))
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # as of an exponential
    assert arrivals(20_000, plan) == times
    assert arrivals(5, RoundPlan(requests=1, min_s=0.0, seed=5)) is None


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_waiting_is_that_of_a_queue_with_one_server(
    load: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_s = 0.01
    (part,) = served(service_s, load / service_s, monkeypatch)
    waits = np.asarray(part.samples_s) - service_s
    # Pollaczek and Khinchine, constant service: mean wait = load / (2 (1 - load)) x service.
    assert waits.mean() == pytest.approx(load / (2 * (1 - load)) * service_s, rel=0.35)
    assert waits.min() == pytest.approx(0.0, abs=1e-6)
    assert part.elapsed_s == pytest.approx(len(part.samples_s) * service_s / load, rel=0.1)


def test_too_many_requests_wait_longer_and_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    (part,) = served(0.01, 150.0, monkeypatch)
    last = np.asarray(part.samples_s[-100:])
    # Nothing slows the arrivals down: the queue grows by a third of the time that passed.
    assert last.mean() == pytest.approx(len(part.samples_s) * (0.01 - 1 / 150), rel=0.2)


def test_waiting_is_no_memory_of_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    (part,) = served(0.01, 90.0, monkeypatch)
    assert part.repeat_ratio == pytest.approx(1.0)
