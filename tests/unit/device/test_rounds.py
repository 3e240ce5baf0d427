"""A round lasts for its requests and its time."""

from collections.abc import Mapping, Sequence

import numpy as np

from deployopt.core.samples import Array, Feed
from deployopt.device.rounds import RoundPlan, Warmed, timed_parts, warmed
from deployopt.device.session import Named
from deployopt.device.timing import REQUESTS_MAX


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


def test_the_first_answer_is_kept_apart_from_the_warm_up() -> None:
    session = Timed(1_000_000)
    ready = warmed(session, None, FEEDS, 1, session.clock)
    assert ready.first_s == ready.guess_s == 0.001
    assert ready.steady
    assert session.calls == len(ready.warmup_s) + 1
