"""One round in the process that holds the model: first answer, warm-up, timed parts.

In: a session, a pool of feeds, how many requests and seconds. Out: durations and answers kept. The
timed part goes on until there are enough requests and enough time, at most REQUESTS_MAX in all.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Final

import msgspec
import numpy as np

from deployopt.core.errors import DeviceError
from deployopt.core.samples import Feed
from deployopt.core.steady import ALIKE, WINDOW
from deployopt.device.session import Session
from deployopt.device.timing import (
    KEPT_BYTES,
    REQUESTS_MAX,
    Clock,
    Pace,
    TimedPart,
    draw_order,
    pick_probes,
    time_requests,
    warm_up,
)

_NS_PER_S: Final = 1_000_000_000


class RoundPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`requests` timed ones and at least `min_s` seconds of them; the seed draws every order."""

    requests: int
    min_s: float
    seed: int
    arrivals_per_s: float | None = None


class Warmed(msgspec.Struct, frozen=True, kw_only=True):
    """The first answer and the warm-up, in seconds; `guess_s` is what a request takes by then."""

    first_s: float
    warmup_s: tuple[float, ...]
    steady: bool
    guess_s: float
    answer_bytes: int


def warmed(  # noqa: PLR0913 -- what is asked, and how it is watched
    session: Session,
    names: Sequence[str] | None,
    pool: Sequence[Feed],
    seed: int,
    clock: Clock = time.perf_counter_ns,
    after_window: Callable[[int], None] = lambda _: None,
    *,
    window: int = WINDOW,
) -> Warmed:
    """Answer once, then until requests are steady, with feeds that are not probes."""
    probes = set(pick_probes(len(pool), seed))
    common = [feed for index, feed in enumerate(pool) if index not in probes]
    random.Random(f"warm-up {seed}").shuffle(common)  # noqa: S311 -- an order, not a secret
    start = clock()
    answer = session.run(names, common[0])
    first_s = (clock() - start) / _NS_PER_S
    warmup_s, steady = warm_up(session, names, common, clock, after_window, window=window)
    _rehearse(session, names, pool, probes)
    guess_s = float(np.mean(warmup_s[-max(window, ALIKE) :]))
    return Warmed(
        first_s=first_s,
        warmup_s=warmup_s,
        steady=steady,
        guess_s=guess_s,
        answer_bytes=sum(output.nbytes for output in answer),
    )


def _rehearse(
    session: Session, names: Sequence[str] | None, pool: Sequence[Feed], probes: Iterable[int]
) -> None:
    """Send inputs of the probes' shapes, but not the probes, where shapes vary.

    Some runtimes make kernels for each new shape; a known shape is no remembered answer.
    """
    shapes = {tuple((name, feed[name].shape) for name in sorted(feed)) for feed in pool}
    if len(shapes) == 1:
        return
    for index in sorted(probes):
        turned = {name: np.ascontiguousarray(np.flip(array)) for name, array in pool[index].items()}
        with suppress(DeviceError):  # turned around, an input may be none that the model takes
            session.run(names, turned)


def timed_parts(
    session: Session,
    names: Sequence[str] | None,
    pool: Sequence[Feed],
    plan: RoundPlan,
    warm: Warmed,
    pace: Pace = Pace(),  # noqa: B008 -- frozen
) -> list[TimedPart]:
    """The timed requests; the probes are in the first part."""
    sizes = [sum(array.size for array in feed.values()) for feed in pool]
    probes = pick_probes(len(pool), plan.seed)
    gap_s = warm.guess_s if plan.arrivals_per_s is None else 1 / plan.arrivals_per_s
    wanted = max(plan.requests, int(plan.min_s / gap_s) + 1)
    parts: list[TimedPart] = []
    count, spent_s = 0, 0.0
    while not parts or (spent_s < plan.min_s and count < REQUESTS_MAX):
        order = draw_order(
            sizes,
            max(1, min(wanted, REQUESTS_MAX - count)),
            () if parts else probes,
            seed=plan.seed + len(parts),
            keep_most=KEPT_BYTES // max(1, warm.answer_bytes),
        )
        due = msgspec.structs.replace(pace, due_s=arrivals(len(order.feeds), plan))
        parts.append(time_requests(session, names, pool, order, due))
        count += len(parts[-1].samples_s)
        spent_s += parts[-1].elapsed_s
        wanted = int((plan.min_s - spent_s) * count / spent_s) + 1
    return parts


def arrivals(count: int, plan: RoundPlan) -> tuple[float, ...] | None:
    """When each request comes, in seconds from the start: a Poisson process, drawn by the seed."""
    if plan.arrivals_per_s is None:
        return None
    lot = random.Random(f"arrivals {plan.seed}")  # noqa: S311 -- a draw, not a secret
    gaps = (lot.expovariate(plan.arrivals_per_s) for _ in range(count))
    return tuple(accumulate(gaps))
