"""A bundle's model asked with batch after batch: what larger requests take, and what they give.

In: a checked bundle on a device, sizes. Out: a Trial a size, each in fresh processes with its own
accuracy run, so that its answers are checked as all timed answers are. Refuses models that are
asked in a way of their own (language models, drawings), and more examples than the gate split has.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.examples import Examples, decode_examples, encode_examples
from deployopt.core.interface import Interface
from deployopt.core.measurement import Trial
from deployopt.core.result import BatchSweep, LoadFigures
from deployopt.core.summaries import load_figures, tail_quantile
from deployopt.core.verdict import Outcome
from deployopt.core.watching import Watcher
from deployopt.core.workload import Workload
from deployopt.device.accuracy import TIMING_LEAST, evaluate, held_requests
from deployopt.device.bundle_measuring import MIN_ROUND_S, ROUNDS, Bench
from deployopt.device.latency import Place, Progress, Schedule, measure, requests_per_round
from deployopt.device.setup import Arm, TimingInputs
from deployopt.store.staging import staged_folder

BATCH_MAX: Final = 4096
"""As a target's workload has it."""
_LEAST: Final = 4
"""Requests that differ; of large ones more would fill the measured process."""


def check_batches(batches: Sequence[int], interface: Interface) -> None:
    """Refuse sizes that nothing can be asked with.

    Raises:
        UsageError: a size out of range, or a model that has no batches to choose.
    """
    wrong = next((size for size in batches if not 1 <= size <= BATCH_MAX), None)
    if wrong is not None:
        raise UsageError(f"A batch of {wrong} cannot be asked: sizes are 1 to {BATCH_MAX}.")
    if batches and interface.generates:
        raise UsageError(
            "A language model is asked by length and by batch while it is built; `deployopt report "
            "BUNDLE` has the table. --batches is for models that answer once."
        )
    if batches and interface.draws:
        raise UsageError("A model that draws is asked with one prompt at a time: leave --batches.")


def sweep_batches(
    bench: Bench, batches: Sequence[int], watcher: Watcher, seed: int = 0
) -> tuple[BatchSweep, tuple[Trial, ...]]:
    """Every size from small to large, until one surely misses a latency budget or fails.

    Raises:
        IntegrityError: a file is not what it should be.
    """
    budgets, quantile = bench.latency_budgets, tail_quantile(bench.bundle.budgets)
    trials: list[Trial] = []
    figures: list[LoadFigures] = []
    waiting = sorted(set(batches))
    total = len(waiting)
    while waiting:
        size, done = waiting.pop(0), len(trials)

        def advance(share: float, words: str = "", size: int = size, done: int = done) -> None:
            watcher.advance((done + share) / total, f"batch {size}, {words}")

        trial = _trial(bench, size, advance, seed)
        trials.append(trial)
        figures.append(load_figures(trial, budgets, quantile))
        if figures[-1].outcome is Outcome.REJECTED or trial.failure is not None:
            break
    inside = [one.batch for one in figures if one.outcome is Outcome.ACCEPTED]
    paces = {one.batch: _pace(one) for one in figures if _pace(one) is not None}
    return BatchSweep(
        figures=tuple(figures),
        budgets=budgets,
        largest=max(inside, default=None),
        fastest=max(paces, key=lambda size: paces[size] or 0.0, default=None),
        left_out=tuple(waiting),
    ), tuple(trials)


def _trial(bench: Bench, size: int, progress: Progress, seed: int) -> Trial:
    place = Place(device=bench.device, evidence=bench.evidence, workdir=bench.workdir)
    setup = bench.bundle.setup_on(bench.machine)
    quantile = tail_quantile(bench.bundle.budgets)
    schedule = Schedule(
        looks=(ROUNDS,),
        requests=requests_per_round([quantile], ROUNDS),
        min_round_s=MIN_ROUND_S,
        batch=size,
        seed=seed,
        limits=bench.device.limits(),
    )
    try:
        inputs = _inputs(bench, size, progress)
    except (DeviceError, UsageError) as error:
        return Trial(
            artifact=setup.artifact,
            machine=bench.machine,
            evidence=bench.evidence,
            threads=setup.threads,
            batch=size,
            rounds=(),
            failure=str(error),
        )
    (trial,) = measure([Arm(setup=setup, inputs=inputs)], schedule, place, progress=progress)
    return trial


def _inputs(bench: Bench, size: int, progress: Progress) -> TimingInputs:
    """Full batches of the gate split, with what the model answers to just these."""
    gate = bench.bundle.gate
    if gate is None:
        raise IntegrityError("The bundle holds no gate split to ask with.")
    data = msgspec.structs.replace(gate, workload=_one_by_one(gate.workload, size))
    examples = decode_examples(data.examples).inputs
    full = len(examples) // size
    if full == 0:
        raise UsageError(f"the gate split has only {len(examples)} examples")
    chosen = examples[: min(full, TIMING_LEAST) * size]
    made = tuple(held_requests(data, chosen, least=_LEAST))
    with staged_folder(bench.workdir.absolute()) as folder:
        suffix, content = encode_examples(
            Examples(inputs=examples[: len(made) * size], labels=None)
        )
        part = folder / f"examples{suffix}"
        part.write_bytes(content)
        answered = evaluate(
            bench.bundle.setup_on(bench.machine),
            msgspec.structs.replace(data, examples=part),
            bench.workdir,
            bench.device,
            limits=bench.device.limits(),
            progress=progress,
        )
    names = data.interface.outputs
    expected = tuple({name: one[name] for name in names} for one in answered.outputs)
    return TimingInputs(feeds=made, expected=expected)


def _one_by_one(workload: Workload, size: int) -> Workload:
    """One request of so many examples after another: what the device can do, without waiting."""
    return msgspec.structs.replace(
        workload, batch=size, scenario="single-stream", requests_per_s=None
    )


def _pace(one: LoadFigures) -> float | None:
    found = None if one.latency is None else one.latency.throughput
    return None if found is None else found.value
