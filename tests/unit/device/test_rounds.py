"""A round lasts for its requests and its time."""

from collections.abc import Mapping, Sequence

import numpy as np

from deployopt.core.errors import DeviceError
from deployopt.core.samples import Array, Feed
from deployopt.device.rounds import RoundPlan, Warmed, timed_parts, warmed
from deployopt.device.session import Named
from deployopt.device.timing import REQUESTS_MAX, pick_probes


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
    parts = timed_parts(session, None, FEEDS, plan, warm, session.clock)
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
