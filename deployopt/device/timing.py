"""The timed part of a round: which inputs, in which order, and what is kept of the answers.

In: a session, feeds, how many requests. Out: durations, the answers kept for comparison, and the
latencies of inputs that came twice. A backend that answers without computing is caught in three
ways:

- a tenth of the requests, at least 32, the longest inputs always among them, keep their outputs,
  which are compared with the accuracy run's (zeros, skipping, truncating, other answers when
  timed);
- some inputs are held back until the timed part and come twice in it, at places drawn by lot: when
  the second answer is much faster, answers are remembered (memoising, also when only the timed part
  is recognised);
- every order is drawn anew from the round's seed.
"""

import gc
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec
import numpy as np

from deployopt.core.samples import Array, Feed
from deployopt.core.steady import WarmUpWatch
from deployopt.device.session import Session

KEPT_SHARE: Final = 0.1
KEPT_LEAST: Final = 32
"""A backend that skips every second request passes this many comparisons once in 2^32 rounds."""
LONGEST_KEPT: Final = 8
PROBES: Final = 16
PROBES_LEAST: Final = 5
REPEAT_RATIO_MIN: Final = 0.5
"""In the median of the probes; a second answer in less than half the time is a remembered one."""
OUTPUT_TOLERANCE: Final = 1e-4
"""Of the largest magnitude expected: the same session on the same machine sums the same."""
REQUESTS_MAX: Final = 20_000
"""A round ends here even before its time is up: more tells no more about a percentile."""
_NS_PER_S: Final = 1_000_000_000
_TINY: Final = 1e-30

Clock = Callable[[], int]
Kept = list[tuple[int, list[Array]]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Feed indices in the order they are sent, and which of the requests keep their outputs."""

    feeds: tuple[int, ...]
    keep: tuple[bool, ...]
    probes: tuple[int, ...] = ()
    """Feeds that come exactly twice."""


class TimedPart(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds by request; answers kept with their feed's index."""

    samples_s: tuple[float, ...]
    kept: Kept
    repeat_ratio: float | None


def pick_probes(count: int, seed: int) -> tuple[int, ...]:
    """The feeds that no one sees before the timed part; none where there are too few feeds."""
    wanted = min(PROBES, count // 2)
    if wanted < PROBES_LEAST:
        return ()
    return tuple(random.Random(f"probes {seed}").sample(range(count), wanted))  # noqa: S311


def draw_order(sizes: Sequence[int], requests: int, probes: Sequence[int], seed: int) -> Order:
    """An order of about `requests` requests; never fewer, and never fewer than the probes need."""
    lot = random.Random(f"order {seed}")  # noqa: S311 -- an order, not a secret
    common = [i for i in range(len(sizes)) if i not in set(probes)]
    total = max(requests, 2 * len(probes))
    order: list[int] = []
    while len(order) < total - 2 * len(probes):
        lap = list(common)
        lot.shuffle(lap)
        order += lap
    order = [*order[: total - 2 * len(probes)], *probes, *probes]
    lot.shuffle(order)
    keep = _kept_places(order, sizes, lot)
    return Order(
        feeds=tuple(order),
        keep=tuple(place in keep for place in range(len(order))),
        probes=tuple(probes),
    )


def _kept_places(order: Sequence[int], sizes: Sequence[int], lot: random.Random) -> set[int]:
    wanted = min(len(order), max(KEPT_LEAST, math.ceil(KEPT_SHARE * len(order))))
    by_size = sorted(range(len(order)), key=lambda place: -sizes[order[place]])
    return {*by_size[:LONGEST_KEPT], *lot.sample(range(len(order)), wanted)}


def warm_up(
    session: Session,
    names: Sequence[str] | None,
    feeds: Sequence[Feed],
    clock: Clock = time.perf_counter_ns,
    after_window: Callable[[int], None] = lambda _: None,
) -> tuple[tuple[float, ...], bool]:
    """Send `feeds` around until requests are steady: durations, and whether they became so."""
    watch = WarmUpWatch()
    durations: list[float] = []
    while not watch.done:
        feed = feeds[len(durations) % len(feeds)]
        start = clock()
        session.run(names, feed)
        durations.append(max(clock() - start, 1) / _NS_PER_S)
        watch.add(durations[-1])
        after_window(len(durations))
    return tuple(durations), watch.stable


def time_requests(
    session: Session,
    names: Sequence[str] | None,
    feeds: Sequence[Feed],
    order: Order,
    clock: Clock = time.perf_counter_ns,
) -> TimedPart:
    """Send the requests of `order` one after another; only the answer is inside the clock."""
    run = session.run
    queue = [feeds[i] for i in order.feeds]
    durations = [0] * len(queue)
    answers: list[list[Array] | None] = [None] * len(queue)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for place, (feed, keep) in enumerate(zip(queue, order.keep, strict=True)):
            start = clock()
            answer = run(names, feed)
            durations[place] = clock() - start
            if keep:
                answers[place] = answer
    finally:
        if collecting:
            gc.enable()
    kept = [(order.feeds[i], a) for i, a in enumerate(answers) if a is not None]
    return TimedPart(
        samples_s=tuple(max(d, 1) / _NS_PER_S for d in durations),
        kept=kept,
        repeat_ratio=_repeat_ratio(order, durations),
    )


def _repeat_ratio(order: Order, durations: Sequence[int]) -> float | None:
    """Median over the probes of second over first latency."""
    if not order.probes:
        return None
    probes = set(order.probes)
    seen: dict[int, list[int]] = {}
    for index, duration in zip(order.feeds, durations, strict=True):
        if index in probes:
            seen.setdefault(index, []).append(max(duration, 1))
    return median(times[1] / times[0] for times in seen.values())


def differing(kept: Kept, expected: Sequence[Mapping[str, Array]], names: Sequence[str]) -> int:
    """How many of the kept answers are not the ones expected."""
    return sum(
        not same_answer(dict(zip(names, answer, strict=True)), expected[index])
        for index, answer in kept
    )


def same_answer(answer: Mapping[str, Array], expected: Mapping[str, Array]) -> bool:
    """Whether every expected output is there, equal but for rounding."""
    return all(name in answer and _close(answer[name], value) for name, value in expected.items())


def _close(found: Array, wanted: Array) -> bool:
    if found.shape != wanted.shape:
        return False
    if wanted.size == 0:
        return True
    if not np.issubdtype(wanted.dtype, np.floating):
        return bool(np.array_equal(found, wanted))
    scale = float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted)))
    return bool(
        np.allclose(
            found, wanted, rtol=0.0, atol=OUTPUT_TOLERANCE * max(scale, 1e-30), equal_nan=True
        )
    )
