"""Interleaved rounds: AB BA AB ..., each arm in a fresh child, on the same cores.

In: arms, a schedule, a place. Out: one Trial an arm, void rounds included. Within a round the arms
take turns of a fraction of a second, as long as all of them fit in memory; else one follows
another. A round that is void for one arm is void for all of them. An arm that crashes, hangs or
answers without computing is left with its failure; the others go on.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.gate import VOID_SHARE_MAX
from deployopt.core.measurement import Machine, Round, Trial
from deployopt.core.quantiles import least_requests, least_rounds
from deployopt.core.samples import Feed, encode_samples
from deployopt.device.device import Device, one_by_one
from deployopt.device.drawing.files import graph_files, is_pipeline
from deployopt.device.generating.asking import expected_bytes, write_prompts
from deployopt.device.protocol import AnswerRequest, TimeRequest, Timing, Working
from deployopt.device.setup import (
    Answering,
    Arm,
    Limits,
    PromptPool,
    Setup,
    TimingInputs,
    silent,
)
from deployopt.device.timing import REPEAT_RATIO_MIN
from deployopt.store.staging import staged_folder
from deployopt.store.writing import write_new_file

ATTEMPTS_PER_ROUND: Final = 2
"""At most this many attempts for each round that must count; then the machine is too noisy."""
HOPELESS_SHARE: Final = 0.5
"""With more void than this when the first look could have been, no more rounds are tried."""
TURN_S: Final = 0.1
"""Of each arm, beside others."""
_RUNTIME_BYTES: Final = 150 * 2**20
_COPIES: Final = 3
"""A process takes the runtime's share, and of the model's file up to so many times its size."""

Progress = Callable[[float, str], None]
Decided = Callable[[tuple[Trial, ...]], bool]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How many rounds, how long, and when to look.

    `looks` are numbers of rounds that count; after each of them `decided` is asked, and the last
    one is the end: (5,) for an absolute budget, (12, 24, 48) for a relative claim.
    """

    looks: tuple[int, ...] = (least_rounds(),)
    requests: int = 60
    min_round_s: float = 2.0
    batch: int = 1
    seed: int = 0
    answering: Answering | None = None
    """Of language models, whose arms have prompts."""
    arrivals_per_s: float | None = None
    wall_s: float | None = None
    """No round is begun later."""
    first_look_s: float | None = None
    """The same until the first look, without which all rounds were in vain; None: as `wall_s`."""
    limits: Limits = Limits()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The device, what a measurement on it is worth, and a folder here for what is sent to it."""

    device: Device
    evidence: Evidence
    workdir: Path


def requests_per_round(quantiles: Sequence[float], rounds: int) -> int:
    """Requests a round, so that all rounds together can settle every quantile.

    Twice the least number, so that one request over the budget does not end it.
    """
    least = max((least_requests(q) for q in quantiles), default=least_requests(0.5))
    return math.ceil(2 * least / rounds)


def measure(
    arms: Sequence[Arm],
    schedule: Schedule,
    place: Place,
    *,
    decided: Decided = lambda _: False,
    progress: Progress = silent,
) -> tuple[Trial, ...]:
    """Measure the arms against each other; one Trial each, in their order.

    Raises:
        UsageError: an arm without inputs, or one that is asked otherwise than the schedule says.
        IntegrityError: a model's files are not what they should be.
    """
    if not all(_inputs(arm, schedule) for arm in arms):
        raise UsageError("There are no inputs to measure latency with.")
    with staged_folder(place.workdir.absolute()) as folder:
        turn_s = TURN_S if in_turns(arms, schedule) else None
        requests = [
            prepared_request(arm, schedule, place, folder / f"{number}", turn_s)
            for number, arm in enumerate(arms)
        ]
        running = _Measurement(requests, schedule, place)
        return running.run(decided, progress)


class _Measurement:
    """The rounds so far."""

    def __init__(
        self,
        requests: Sequence[Timing],
        schedule: Schedule,
        place: Place,
    ) -> None:
        self._requests = requests
        self._schedule = schedule
        self._place = place
        self._rounds: list[list[Round]] = [[] for _ in requests]
        self._failures: list[str | None] = [None for _ in requests]

    def run(self, decided: Decided, progress: Progress) -> tuple[Trial, ...]:
        """Rounds until a look decides, the last look is reached, or the machine is too noisy."""
        looks = list(self._schedule.looks)
        counted = attempts = 0
        start = time.monotonic()
        while looks and not self._over(attempts, counted, time.monotonic() - start):
            attempts += 1
            void = self._one_round(attempts, progress, looks[-1], counted)
            counted += void is None
            if counted < looks[0] or attempts - counted > VOID_SHARE_MAX * attempts:
                continue
            if decided(self._trials()):
                break
            looks = [look for look in looks if look > counted]
        self._check_memory_of_answers()
        return self._trials()

    def _over(self, attempts: int, counted: int, spent_s: float) -> bool:
        """Whether another round would be of no use or comes too late."""
        looks, wall_s = self._schedule.looks, self._schedule.wall_s
        if counted < looks[0] and self._schedule.first_look_s is not None:
            wall_s = self._schedule.first_look_s
        hopeless = attempts >= looks[0] and attempts - counted > HOPELESS_SHARE * attempts
        late = wall_s is not None and spent_s > wall_s
        failed = all(failure is not None for failure in self._failures)
        return hopeless or late or failed or attempts >= ATTEMPTS_PER_ROUND * looks[-1]

    def _one_round(self, number: int, progress: Progress, total: int, counted: int) -> str | None:
        """One round of every arm that still runs; why it is void, or None."""
        alive = [i for i, failure in enumerate(self._failures) if failure is None]
        order = alive if number % 2 else alive[::-1]
        share = min(counted / total, 1.0)

        def sign(_: Working) -> None:
            progress(share, f"round {number} of {total}")

        progress(share, f"round {number} of {total}")
        requests = [self._request(index, number) for index in order]
        device, limits = self._place.device, self._schedule.limits
        if all(request.turn_s is not None for request in requests):
            replies = device.ask_in_turns(requests, limits, sign)
        else:
            replies = one_by_one(device, requests, limits, sign)
        found: dict[int, Round] = {}
        for index, reply in zip(order, replies, strict=True):
            if isinstance(reply, DeviceError):
                self._failures[index] = str(reply)
            else:
                found[index] = reply.round
        void = next((r.void for r in found.values() if r.void is not None), None)
        for index, one in found.items():
            self._rounds[index].append(msgspec.structs.replace(one, void=void))
            if one.mismatched:
                self._failures[index] = (
                    f"{one.mismatched} of {one.compared} timed answers that were looked at are not "
                    "those of the accuracy run: the runtime skips, shortens or invents."
                )
        return void

    def _request(self, index: int, number: int) -> Timing:
        return msgspec.structs.replace(
            self._requests[index], seed=self._schedule.seed + 1000 * number
        )

    def _check_memory_of_answers(self) -> None:
        for index, rounds in enumerate(self._rounds):
            ratios = [r.repeat_ratio for r in rounds if r.repeat_ratio is not None]
            if self._failures[index] is None and ratios and median(ratios) < REPEAT_RATIO_MIN:
                self._failures[index] = (
                    f"An input that comes a second time is answered in {median(ratios):.0%} of the "
                    "first time: the runtime remembers answers, so the latencies are not its own."
                )

    def _trials(self) -> tuple[Trial, ...]:
        return tuple(
            Trial(
                artifact=request.setup.artifact,
                machine=self._place.device.machine,
                evidence=self._place.evidence,
                threads=request.setup.threads,
                batch=self._schedule.batch,
                arrivals_per_s=self._schedule.arrivals_per_s,
                rounds=tuple(rounds),
                failure=failure,
            )
            for request, rounds, failure in zip(
                self._requests, self._rounds, self._failures, strict=True
            )
        )


def cores_for(machine: Machine, threads: int) -> tuple[int, ...]:
    """The cores to pin to: the last ones, as the first serves most interrupts; none if too few."""
    return machine.affinity[-threads:] if len(machine.affinity) >= threads else ()


def in_turns(arms: Sequence[Arm], schedule: Schedule) -> bool:
    """Whether the arms are timed beside each other: they all have to lie in memory at once.

    Requests that come by themselves go on coming, so that none can be put off for a turn.
    """
    if len(arms) == 1 or schedule.arrivals_per_s is not None:
        return False
    most = schedule.limits.memory_bytes
    return most is None or sum(_expected_bytes(arm.setup, schedule) for arm in arms) <= most


def _inputs(arm: Arm, schedule: Schedule) -> Sequence[Feed]:
    """What the arm is asked."""
    inputs = arm.inputs
    if isinstance(inputs, PromptPool) != (schedule.answering is not None):
        raise UsageError("Language models and other models are not measured beside each other.")
    return inputs.prompts if isinstance(inputs, PromptPool) else inputs.feeds


def _expected_bytes(setup: Setup, schedule: Schedule) -> int:
    """Of the process, cautiously, by the files that lie with the model."""
    if schedule.answering is not None:
        return _RUNTIME_BYTES + expected_bytes(setup, schedule.answering)
    beside = setup.model.parent.glob(f"{setup.model.stem}*")
    every = graph_files(setup.model) if is_pipeline(setup.model) else beside
    files = (path for path in every if path.is_file())
    return _RUNTIME_BYTES + _COPIES * sum(path.stat().st_size for path in files)


def prepared_request(
    arm: Arm, schedule: Schedule, place: Place, folder: Path, turn_s: float | None
) -> Timing:
    """The files of the arm's rounds, and the request that names them."""
    folder.mkdir()
    inputs = arm.inputs
    setup = msgspec.structs.replace(arm.setup, model=arm.setup.model.absolute())
    cores = cores_for(place.device.machine, setup.threads)
    if isinstance(inputs, TimingInputs):
        feeds, expected = _written(inputs, folder)
        return TimeRequest(
            setup=setup,
            feeds=feeds,
            expected=expected,
            requests=schedule.requests,
            min_s=schedule.min_round_s,
            seed=schedule.seed,
            arrivals_per_s=schedule.arrivals_per_s,
            turn_s=turn_s,
            cores=cores,
        )
    if schedule.answering is None or schedule.arrivals_per_s is not None:
        raise UsageError("Language models are asked one request after another.")
    prompts, expected = write_prompts(inputs, folder)
    return AnswerRequest(
        setup=setup,
        prompts=prompts,
        expected=expected,
        context=schedule.answering.context,
        tokens=schedule.answering.tokens,
        requests=schedule.requests,
        min_s=schedule.min_round_s,
        seed=schedule.seed,
        turn_s=turn_s,
        cores=cores,
    )


def _written(inputs: TimingInputs, folder: Path) -> tuple[Path, Path | None]:
    feeds = folder / "feeds.npz"
    write_new_file(feeds, encode_samples(inputs.feeds))
    if inputs.expected is None:
        return feeds, None
    if len(inputs.expected) != len(inputs.feeds):
        raise IntegrityError("The timed inputs and the answers expected of them do not fit.")
    expected = folder / "expected.npz"
    write_new_file(expected, encode_samples(inputs.expected))
    return feeds, expected
