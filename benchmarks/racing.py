"""Several ways to answer the same requests, timed against each other: ratios, not milliseconds.

In: what each runner opens, and a file of real requests. Out: the median time of every runner in
every round, and ratios of two runners with their interval. A round is one fresh process a runner;
within it the runners take turns, twenty requests each, so that what a neighbour does to the machine
falls on all of them, and no runner's weights push another's out of its own turn's cache.
"""

import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from deployopt.core.artifact import RuntimeName
from deployopt.core.distributions import student_t_quantile

CHILD: Final = Path(__file__).with_name("race_child.py")
BLOCK: Final = 20
# Threads that spin after a request are given this long to fall asleep.
PAUSE_S: Final = 0.01
Clock = Literal["wall", "cpu"]


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What one runner opens, and how."""

    name: str
    engine: Literal["torch"] | RuntimeName
    model: str
    feeds: str
    torch_class: str = "AutoModelForSequenceClassification"
    disabled: tuple[str, ...] = ()
    entries: dict[str, str] = {}
    outputs: tuple[str, ...] = ()
    device: str = "cpu"
    """Of torch, which moves requests there and answers back, as the others do."""
    bundle: str = ""
    """Opened whole, as `run` does, where it is given."""
    captured: bool = True
    """Whether a bundle's requests may be launched as one CUDA graph, where it is opened so."""
    half: bool = False
    compiled: bool = False
    threads: int = 1
    cores: tuple[int, ...] = ()


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of one runner in one round, in ms."""

    wall_ms: float
    cpu_ms: float

    def on(self, clock: Clock) -> float:
        """By the clock on the wall, or that of the processor: its own work alone."""
        return self.wall_ms if clock == "wall" else self.cpu_ms


Rounds = dict[str, list[Times]]


class Runner:
    """A child process, ready to answer."""

    def __init__(self, spec: Spec) -> None:
        command = [
            sys.executable,
            "-m",
            "benchmarks.race_child",
            msgspec.json.encode(spec).decode(),
        ]
        self.spec = spec
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=CHILD.parent.parent,
        )
        self._hear("ready")

    def say(self, words: str) -> str:
        """One line there, one back."""
        if self._child.stdin is not None:
            self._child.stdin.write(f"{words}\n")
            self._child.stdin.flush()
        return self._hear()

    def close(self) -> None:
        """End of input ends it."""
        self._child.communicate()

    def _hear(self, expected: str = "") -> str:
        line = self._child.stdout.readline() if self._child.stdout is not None else ""
        if not line or (expected and line.strip() != expected):
            raise SystemExit(f"{self.spec.name} failed: {line}{self._child.communicate()[1]}")
        return line


def on_cores(spec: Spec, threads: int) -> Spec:
    """Pinned to as many of the last cores that this process may use."""
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    return msgspec.structs.replace(spec, threads=threads, cores=tuple(cores))


def race(specs: Sequence[Spec], *, rounds: int, requests: int, count: int) -> Rounds:
    """Each round as many requests, drawn from `count`, the same for every runner."""
    found: Rounds = {spec.name: [] for spec in specs}
    for number in range(rounds):
        lot = random.Random(number)  # noqa: S311 -- an order, not a secret
        order = [lot.randrange(count) for _ in range(requests)]
        for name, times in one_round(specs, order, number).items():
            found[name].append(times)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def one_round(specs: Sequence[Spec], order: Sequence[int], number: int) -> dict[str, Times]:
    """Fresh processes; every runner gets every request."""
    runners = [Runner(spec) for spec in specs]
    taken: dict[str, list[tuple[int, int]]] = {spec.name: [] for spec in specs}
    for at, first in enumerate(range(0, len(order), BLOCK)):
        turn = (at + number) % len(runners)
        for runner in (*runners[turn:], *runners[:turn]):
            block = list(order[first : first + BLOCK])
            time.sleep(PAUSE_S)
            # The first request of a turn finds a cold cache, and is not counted.
            taken[runner.spec.name] += json.loads(runner.say(json.dumps(block[:1] + block)))[1:]
    for runner in runners:
        runner.close()
    return {
        name: Times(
            wall_ms=statistics.median(wall for wall, _ in times) / 1e6,
            cpu_ms=statistics.median(cpu for _, cpu in times) / 1e6,
        )
        for name, times in taken.items()
    }


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A mean over rounds with its one-sided 95 % bounds; equal to it where there is one round."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        """As `3.51 (3.44 to 3.58)`."""
        return f"{self.estimate:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(rounds: Rounds, slow: str, fast: str, clock: Clock = "wall") -> Ratio:
    """How many times as long `slow` takes: the geometric mean of the rounds' own ratios."""
    pairs = zip(rounds[slow], rounds[fast], strict=True)
    logs = [math.log(one.on(clock) / other.on(clock)) for one, other in pairs]
    mean, reach = statistics.fmean(logs), 0.0
    if len(logs) > 1:
        error = statistics.stdev(logs) / math.sqrt(len(logs))
        reach = student_t_quantile(0.95, len(logs) - 1) * error
    return Ratio(estimate=math.exp(mean), low=math.exp(mean - reach), high=math.exp(mean + reach))


def answers(spec: Spec, count: int | None = None) -> list[int]:
    """The class of each request, or of the first so many."""
    runner = Runner(spec)
    found: list[int] = json.loads(runner.say("answers" if count is None else f"answers {count}"))
    runner.close()
    return found
