"""Simulated runtimes, honest and cheating, asked by the real measurement and judged by the gate.

In: a kind of backend, runs. Out: how many runs the gate accepted, against a budget that any of them
would meet. Only the model is simulated: requests are ordered, timed, kept, compared and judged by
deployopt.device and deployopt.core, on the backend's own clock.
"""

import gc
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from deployopt.core.budget import Budget
from deployopt.core.errors import DeviceError
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import Conditions, Machine, Round
from deployopt.core.samples import Array, Feed
from deployopt.core.verdict import Outcome
from deployopt.device.device import Signs, one_by_one, unheard
from deployopt.device.latency import Place, Schedule, measure
from deployopt.device.protocol import Request, Timed, TimeRequest, Timing
from deployopt.device.rounds import RoundPlan, timed_parts, warmed
from deployopt.device.session import Named
from deployopt.device.setup import Arm, Limits, Setup, TimingInputs
from deployopt.device.timing import LONGEST_KEPT, Pace, differing

BUDGET: Final = Budget(metric="latency_p95", limit=1.0)
"""A second: met by far, so that nothing but cheating can keep a backend from being accepted."""
MACHINE: Final = Machine(
    arch="x86_64", cpu="simulated", cores=1, memory_bytes=2**30, kernel="", python=""
)
OUTPUTS: Final = ("y",)
_SEEMS_TIMED: Final = 76
"""Requests by which a detecting one takes the warm-up to be over: one answer, 75 to warm up."""


class Honest:
    """Sums that depend on every token; 10 us and 1 us a token, with 30 % noise and rare spikes."""

    def __init__(self, seed: int) -> None:
        self.now = 0
        self.lot = random.Random(seed)  # noqa: S311 -- noise, not a secret
        self.calls = 0

    def get_outputs(self) -> Sequence[Named]:
        """None that anyone asks for."""
        return []

    def clock(self) -> int:
        """Nanoseconds that it has spent."""
        return self.now

    def spend(self, ns: float) -> None:
        """Take about so long; once in fifty times twenty times as long."""
        spike = 20 if self.lot.random() < 0.02 else 1
        self.now += int(ns * self.lot.uniform(0.7, 1.3) * spike)

    def compute(self, feed: Mapping[str, Array]) -> list[Array]:
        """The answer, paid for."""
        x = feed["x"]
        self.spend(10_000 + 1_000 * x.size)
        weights = np.linspace(0.5, 1.5, x.size, dtype=np.float32)
        total = float((x[0] * weights).sum())
        return [np.array([[total, 1.0 - total]], dtype=np.float32)]

    def run(self, _: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        """As a session answers."""
        self.calls += 1
        return self.compute(input_feed)


class Memoising(Honest):
    """Remembers every answer."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.known: dict[bytes, list[Array]] = {}

    def run(self, names: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        """What it remembers, at a fifth of the cost or less."""
        key = input_feed["x"].tobytes()
        if key in self.known:
            self.spend(2_000)
            return self.known[key]
        self.known[key] = super().run(names, input_feed)
        return self.known[key]


class Zeros(Honest):
    """Computes nothing."""

    def run(self, _: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        """Zeros of the right shape."""
        self.spend(1_000)
        return [np.zeros((len(input_feed["x"]), 2), dtype=np.float32)]


class Skipping(Honest):
    """Gives every second request the answer before."""

    last: list[Array]

    def run(self, names: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        """Every second time without computing."""
        if self.calls % 2:
            self.calls += 1
            self.spend(1_000)
            return self.last
        self.last = super().run(names, input_feed)
        return self.last


class Truncating(Honest):
    """Reads the first 40 tokens only, which is all of most inputs."""

    def run(self, names: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        """Of a shortened input."""
        return super().run(names, {"x": input_feed["x"][:, :40]})


class Detecting(Honest):
    """Is honest for as long as a warm-up or an accuracy run may last, then makes answers up."""

    def run(self, names: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        """Made up once it takes itself to be timed."""
        if self.calls < _SEEMS_TIMED:
            return super().run(names, input_feed)
        self.spend(1_000)
        return [np.array([[0.7, 0.3]], dtype=np.float32)]


class DetectingAndMemoising(Memoising):
    """Remembers answers only once it takes itself to be timed."""

    def run(self, names: Sequence[str] | None, input_feed: Mapping[str, Array]) -> list[Array]:
        """Remembered once it takes itself to be timed."""
        if self.calls < _SEEMS_TIMED:
            return Honest.run(self, names, input_feed)
        return super().run(names, input_feed)


CHEATS: Final[dict[str, type[Honest]]] = {
    "memoising": Memoising,
    "zeros": Zeros,
    "skipping every second": Skipping,
    "truncating": Truncating,
    "detecting the benchmark": Detecting,
    "detecting it, then memoising": DetectingAndMemoising,
}


class SimulatedDevice:
    """A machine whose processes hold a backend in place of a model: a fresh one each round."""

    def __init__(self, backend: type[Honest], feeds: Sequence[Feed], expected: list[Feed]) -> None:
        self._backend = backend
        self._feeds = feeds
        self._expected = expected

    @property
    def where(self) -> str:
        """Nowhere."""
        return "a simulated device"

    @property
    def machine(self) -> Machine:
        """One core."""
        return MACHINE

    def limits(self) -> Limits:
        """The usual ones."""
        return Limits()

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """One after the other: each has a clock of its own."""
        return one_by_one(self, requests, limits, signs)

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed:
        """One round, as a child process makes it."""
        del limits, signs
        if not isinstance(request, TimeRequest):
            raise TypeError("a simulated device answers no examples")
        session = self._backend(request.seed)
        warm = warmed(session, OUTPUTS, self._feeds, request.seed, session.clock)
        plan = RoundPlan(requests=request.requests, min_s=request.min_s, seed=request.seed)
        parts = timed_parts(session, OUTPUTS, self._feeds, plan, warm, Pace(clock=session.clock))
        kept = [item for part in parts for item in part.kept]
        return Timed(
            round=Round(
                load_s=0.0,
                first_s=warm.first_s,
                warmup_s=warm.warmup_s,
                steady=warm.steady,
                samples_s=tuple(s for part in parts for s in part.samples_s),
                peak_rss_bytes=2**20,
                base_rss_bytes=2**20,
                conditions=Conditions(),
                mismatched=differing(kept, self._expected, OUTPUTS),
                compared=len(kept),
                repeat_ratio=parts[0].repeat_ratio,
            )
        )


def some_feeds(seed: int, count: int = 200) -> list[Feed]:
    """Inputs of 4 to 39 tokens, and a few of 60 and more."""
    lot = np.random.default_rng(seed)
    lengths = [*lot.integers(4, 40, count - LONGEST_KEPT), *range(60, 60 + LONGEST_KEPT)]
    return [{"x": lot.random((1, n), dtype=np.float32)} for n in lengths]


def backend_accepts(backend: type[Honest], runs: int) -> int:
    """Count runs of five rounds after which the gate accepts the backend's latency."""
    feeds = some_feeds(23)
    honest = Honest(23)
    expected: list[Feed] = [{"y": honest.compute(feed)[0]} for feed in feeds]
    arm = Arm(
        setup=Setup(artifact="simulated", model=Path("/nowhere"), threads=1),
        inputs=TimingInputs(feeds=({"x": np.zeros((1, 1), dtype=np.float32)},)),
    )
    gc.freeze()  # collecting before each timed part is slow only for what this process holds
    try:
        with TemporaryDirectory() as folder:
            device = SimulatedDevice(backend, feeds, expected)
            place = Place(device=device, evidence=Evidence.TARGET, workdir=Path(folder))
            return sum(_accepted(arm, place, seed) for seed in range(runs))
    finally:
        gc.unfreeze()


def _accepted(arm: Arm, place: Place, seed: int) -> bool:
    schedule = Schedule(requests=60, min_round_s=0.0, seed=100_000 * seed)
    (trial,) = measure([arm], schedule, place)
    verdict = judge("simulated", [BUDGET], Findings(artifact=trial.artifact, latency=trial))
    return verdict.outcome is Outcome.ACCEPTED
