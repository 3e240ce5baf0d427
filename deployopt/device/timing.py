"""The timed part of a round: which inputs, in which order, and what is kept of the answers.

In: a session, feeds, how many requests. Out: durations, the answers kept for comparison, and the
latencies of inputs that came twice. A backend that answers without computing is caught in three
ways:

- the outputs of a tenth of the requests, at least 32, and of the longest inputs, sent besides, are
  compared with the accuracy run's (zeros, skipping, truncating, other answers when timed);
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
from deployopt.core.steady import WINDOW, WarmUpWatch
from deployopt.device.session import Session
from deployopt.device.turns import Turns

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
KEPT_BYTES: Final = 16 * 2**20
"""Kept outputs lie in the measured process: with large ones fewer are kept, at least 32."""
_NS_PER_S: Final = 1_000_000_000
_TINY: Final = 1e-30

_sleep = time.sleep

Clock = Callable[[], int]
Kept = list[tuple[int, list[Array]]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Feed indices in the order they are sent, which are only checked, and which keep outputs."""

    feeds: tuple[int, ...]
    keep: tuple[bool, ...]
    unmeasured: tuple[bool, ...]
    """Sent for their outputs only: counting them would make the inputs longer than they are."""
    probes: tuple[int, ...] = ()
    """Feeds that come exactly twice."""


class TimedPart(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds by request; answers kept with their feed's index."""

    samples_s: tuple[float, ...]
    kept: Kept
    repeat_ratio: float | None
    elapsed_s: float
    """Of the answers; with the waiting for requests where these come by themselves."""


def pick_probes(count: int, seed: int) -> tuple[int, ...]:
    """The feeds that no one sees before the timed part; none where there are too few feeds."""
    wanted = min(PROBES, count // 2)
    if wanted < PROBES_LEAST:
        return ()
    return tuple(random.Random(f"probes {seed}").sample(range(count), wanted))  # noqa: S311


def draw_order(
    sizes: Sequence[int],
    requests: int,
    probes: Sequence[int],
    seed: int,
    keep_most: int = REQUESTS_MAX,
) -> Order:
    """An order of `requests` measured requests, or as many as the probes need.

    The longest inputs are sent besides, at places drawn by lot.
    """
    lot = random.Random(f"order {seed}")  # noqa: S311 -- an order, not a secret
    common = [i for i in range(len(sizes)) if i not in set(probes)]
    measured = [*_laps(common, max(0, requests - 2 * len(probes)), lot), *probes, *probes]
    longest = sorted(common, key=lambda i: -sizes[i])[:LONGEST_KEPT]
    places = [(i, False) for i in measured] + [(i, True) for i in longest]
    lot.shuffle(places)
    wanted = min(math.ceil(KEPT_SHARE * len(places)), keep_most)
    drawn = set(lot.sample(range(len(places)), min(len(places), max(KEPT_LEAST, wanted))))
    return Order(
        feeds=tuple(i for i, _ in places),
        keep=tuple(n in drawn or extra for n, (_, extra) in enumerate(places)),
        unmeasured=tuple(extra for _, extra in places),
        probes=tuple(probes),
    )


def _laps(common: Sequence[int], count: int, lot: random.Random) -> list[int]:
    """The common feeds around and around, each lap in another order, so that few repeat."""
    order: list[int] = []
    while len(order) < count:
        lap = list(common)
        lot.shuffle(lap)
        order += lap
    return order[:count]


def warm_up(
    session: Session,
    names: Sequence[str] | None,
    feeds: Sequence[Feed],
    clock: Clock = time.perf_counter_ns,
    after_window: Callable[[int], None] = lambda _: None,
    *,
    window: int = WINDOW,
) -> tuple[tuple[float, ...], bool]:
    """Send `feeds` around until requests are steady: durations, and whether they became so."""
    watch = WarmUpWatch(window)
    durations: list[float] = []
    while not watch.done:
        feed = feeds[len(durations) % len(feeds)]
        start = clock()
        session.run(names, feed)
        durations.append(max(clock() - start, 1) / _NS_PER_S)
        watch.add(durations[-1])
        after_window(len(durations))
    return tuple(durations), watch.stable


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When requests are sent: as they come, in turns with other processes, or one after another.

    With `due_s` a request is sent no earlier than it comes, and its latency counts from then, the
    waiting behind others included; nothing slows the arrivals down (an open loop).
    """

    clock: Clock = time.perf_counter_ns
    due_s: tuple[float, ...] | None = None
    turns: Turns | None = None


def time_requests(
    session: Session,
    names: Sequence[str] | None,
    feeds: Sequence[Feed],
    order: Order,
    pace: Pace,
) -> TimedPart:
    """Send the requests of `order` one after another; only the answer is inside the clock."""
    run, clock, due_s, turns = session.run, pace.clock, pace.due_s, pace.turns
    queue = [feeds[i] for i in order.feeds]
    known = [feeds[i] for i in order.feeds if i not in order.probes] or queue

    def warm(number: int) -> None:
        run(names, known[number % len(known)])

    due_ns = None if due_s is None else [int(due * _NS_PER_S) for due in due_s]
    durations = [0] * len(queue)
    waits = [0] * len(queue)
    answers: list[list[Array] | None] = [None] * len(queue)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    began = clock()
    try:
        for place, (feed, keep) in enumerate(zip(queue, order.keep, strict=True)):
            if turns is not None:
                turns.come(warm)
            if due_ns is not None:
                waits[place] = _wait_until(began + due_ns[place], clock)
            start = clock()
            answer = run(names, feed)
            durations[place] = clock() - start
            if keep:
                answers[place] = answer
    finally:
        if collecting:
            gc.enable()
    elapsed_s = (clock() - began) / _NS_PER_S
    kept = [(order.feeds[i], a) for i, a in enumerate(answers) if a is not None]
    samples_s = tuple(
        max(waited + d, 1) / _NS_PER_S
        for waited, d, extra in zip(waits, durations, order.unmeasured, strict=True)
        if not extra
    )
    return TimedPart(
        samples_s=samples_s,
        kept=kept,
        repeat_ratio=_repeat_ratio(order, durations),
        elapsed_s=sum(samples_s) if due_s is None else elapsed_s,
    )


def _wait_until(due_ns: int, clock: Clock) -> int:
    """Sleep until a request comes; how long it has been waiting by then, in nanoseconds."""
    while (left := due_ns - clock()) > 0:
        _sleep(left / _NS_PER_S)
    return -left


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
