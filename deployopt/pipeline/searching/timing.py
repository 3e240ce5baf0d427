"""Artifacts timed against one another in a few short rounds, for choosing what to go on with.

In: artifacts, the first of them the one that the others are compared with. Out: ratios with
intervals. What ships is measured in full later; this only ranks.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.artifact import Artifact
from deployopt.core.distributions import student_t_quantile
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import Round, Split, Trial
from deployopt.core.summaries import tail_quantile
from deployopt.core.watching import Watcher
from deployopt.device.inputs import feeds
from deployopt.device.latency import Place, Schedule, measure
from deployopt.device.setup import Arm, TimingInputs
from deployopt.pipeline.answering import candidate_setup, limits_for
from deployopt.pipeline.preparing import Prepared

ROUNDS: Final = 3
ROUND_S: Final = 0.4
_REQUESTS: Final = 40
_INPUTS: Final = 256
_TWO: Final = 2


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact's time over the first one's; `failure` where it could not be run."""

    ratio: float = float("nan")
    lower: float | None = None
    upper: float | None = None
    median_s: float = float("nan")
    tail_s: float = float("nan")
    rounds: int = 0
    failure: str | None = None


def time_artifacts(
    artifacts: Sequence[Artifact], prepared: Prepared, watcher: Watcher, rounds: int = ROUNDS
) -> tuple[Timed, ...]:
    """Ratios to the first artifact, in order.

    On a machine so noisy that no round counts, the void ones are taken all the same, without
    intervals: they were noisy for every artifact alike, and nothing is accepted on them.
    """
    inputs = _inputs(prepared)
    arms = [Arm(setup=candidate_setup(prepared, artifact), inputs=inputs) for artifact in artifacts]
    schedule = Schedule(
        looks=(rounds,),
        requests=_REQUESTS,
        min_round_s=ROUND_S,
        batch=prepared.request.target.workload.batch,
        arrivals_per_s=prepared.request.target.workload.requests_per_s,
        seed=prepared.request.seed,
        limits=limits_for(prepared),
    )
    with prepared.bench.store.stage() as workdir:
        place = Place(device=prepared.device, evidence=prepared.evidence, workdir=workdir)
        trials = measure(arms, schedule, place, progress=watcher.advance)
    quantile = tail_quantile(prepared.budgets)
    return tuple(_timed(trial, trials[0], quantile) for trial in trials)


def _inputs(prepared: Prepared) -> TimingInputs:
    """Real inputs of the search split, spread over it."""
    examples = decode_examples(prepared.dataset.splits[Split.SEARCH].path).inputs
    workload = prepared.request.target.workload
    step = max(1, len(examples) // (_INPUTS * workload.batch))
    chosen = list(examples[::step])[: _INPUTS * workload.batch]
    whole = len(chosen) // workload.batch * workload.batch or len(chosen)
    source = prepared.source
    made = feeds(source.interface, source.artifact.folder, chosen[:whole], workload)
    return TimingInputs(feeds=tuple(made))


def _timed(trial: Trial, base: Trial, quantile: float) -> Timed:
    if trial.failure is not None:
        return Timed(failure=trial.failure)
    counted = bool(trial.counted)
    mine, theirs = _by_number(trial, counted=counted), _by_number(base, counted=counted)
    logs = [
        math.log(_median(mine[number]) / _median(theirs[number]))
        for number in sorted(mine.keys() & theirs.keys())
    ]
    samples = np.asarray([s for one in mine.values() for s in one.samples_s])
    if not logs or not samples.size:
        return Timed(failure="no round of it was finished")
    mean = math.fsum(logs) / len(logs)
    wide = _half_width(logs) if counted else None
    return Timed(
        ratio=math.exp(mean),
        lower=None if wide is None else math.exp(mean - wide),
        upper=None if wide is None else math.exp(mean + wide),
        median_s=float(np.median(samples)),
        tail_s=float(np.quantile(samples, quantile)),
        rounds=len(logs),
    )


def _by_number(trial: Trial, *, counted: bool) -> dict[int, Round]:
    """The rounds that count, or all of them, by their place in time."""
    return {
        number: one
        for number, one in enumerate(trial.rounds)
        if one.samples_s and (one.void is None or not counted)
    }


def _median(one: Round) -> float:
    return float(np.median(one.samples_s))


def _half_width(logs: Sequence[float]) -> float | None:
    """Of the one-sided 95 % bounds on the mean, by Student's t over rounds."""
    if len(logs) < _TWO:
        return None
    error = float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    return student_t_quantile(0.95, len(logs) - 1) * error
