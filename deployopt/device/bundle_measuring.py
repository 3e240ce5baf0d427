"""A bundle is measured on a device: its gate split first, then rounds of timed requests.

In: a checked bundle, a device, how they fit. Out: the raw trials, for the gate to judge. Language
models are asked for answers, other models for outputs.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.card import STAND_IN
from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.evidence import Evidence
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import AccuracyTrial, Machine, Split, Trial
from deployopt.core.metric import Kind
from deployopt.core.scores import ScoreTrial
from deployopt.core.watching import Watcher
from deployopt.device.accuracy import (
    Judged,
    annotations,
    compare_with_reference,
    evaluate,
    timing_inputs,
)
from deployopt.device.bundle_reader import REFERENCE, OpenBundle
from deployopt.device.device import Device
from deployopt.device.generating.bundled import prompts_of_bundle, scored_bundle
from deployopt.device.latency import Place, Schedule, measure, requests_per_round
from deployopt.device.machine import exact_for
from deployopt.device.reference import decode_reference
from deployopt.device.setup import Answering, Arm, PromptPool, Setup, TimingInputs

ROUNDS: Final = 5
MIN_ROUND_S: Final = 2.0
_QUANTILES: Final = frozenset({Kind.LATENCY, Kind.FIRST_TOKEN})


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle, the device, why it is not the target, and a folder here to send from."""

    bundle: OpenBundle
    device: Device
    mismatch: str | None
    workdir: Path

    @property
    def machine(self) -> Machine:
        """The device's."""
        return self.device.machine

    @property
    def evidence(self) -> Evidence:
        """What a measurement there is worth."""
        return Evidence.TARGET if self.mismatch is None else Evidence.PROXY

    @property
    def stands_in(self) -> bool:
        """Whether a CPU answers in the place of the target's card, which is not there."""
        return self.mismatch is not None and self.bundle.has_stand_in

    @property
    def setup(self) -> Setup:
        """The model as it is opened there."""
        found = self.bundle.setup_on(self.machine)
        return msgspec.structs.replace(found, provider="cpu") if self.stands_in else found

    @property
    def latency_budgets(self) -> tuple[Budget, ...]:
        """What a request's time is held against: nothing on another machine than the target."""
        if self.evidence is not Evidence.TARGET:
            return ()
        return tuple(b for b in self.bundle.budgets if b.definition.kind is Kind.LATENCY)

    @property
    def exact_arithmetic(self) -> bool:
        """Whether integer arithmetic there gives what the target's would."""
        return exact_for(
            self.bundle.target,
            self.machine,
            self.bundle.manifest.precision,
            reduced_range=self.bundle.reduced_range(),
        )


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the model said of the gate split, and what it is to be timed with."""

    inputs: TimingInputs | PromptPool
    answering: Answering | None = None
    accuracy: AccuracyTrial | None = None
    scores: ScoreTrial | None = None


def ask_gate(bench: Bench, watcher: Watcher, seed: int = 0) -> Asked | None:
    """The gate split through the model, paired with the reference; None without such a split.

    Raises:
        DeviceError: the model crashed, hung, or took more than it may.
        IntegrityError: a file is not what it should be.
    """
    if bench.bundle.manifest.interface.generates:
        return _ask_language(bench, watcher)
    bundle, data = bench.bundle, bench.bundle.gate
    if data is None:
        return None
    evaluation = evaluate(
        bench.setup,
        data,
        bench.workdir,
        bench.device,
        limits=bench.device.limits(),
        progress=watcher.advance,
    )
    judged = Judged(
        artifact=bundle.manifest.artifact,
        split=Split.GATE,
        evidence=bench.evidence,
        interface=bundle.manifest.interface,
        labels=decode_examples(data.examples).labels,
        truth=annotations(bundle.manifest.interface, data.examples),
        exact_arithmetic=bench.exact_arithmetic,
        synthetic=bundle.lineage().data is None,
        stand_in=STAND_IN if bench.stands_in else None,
    )
    reference = decode_reference(bundle.folder / REFERENCE)
    return Asked(
        inputs=timing_inputs(data, evaluation, seed=seed),
        accuracy=compare_with_reference(judged, reference, evaluation),
    )


def _ask_language(bench: Bench, watcher: Watcher) -> Asked | None:
    questions = prompts_of_bundle(bench.bundle)
    if questions is None:
        return None
    found = scored_bundle(
        bench.bundle, questions, bench.device, bench.workdir, progress=watcher.advance
    )
    scores = found.trial(bench.evidence, exact_arithmetic=bench.exact_arithmetic)
    return Asked(
        inputs=found.pool,
        answering=found.answering,
        accuracy=choice_accuracy(scores),
        scores=scores,
    )


def time_bundle(bench: Bench, asked: Asked, watcher: Watcher, seed: int = 0) -> Trial | None:
    """Rounds of timed requests, as many as the budgets' quantiles need; None in a card's place.

    Raises:
        UsageError: there is nothing to time the model with.
        IntegrityError: a model's files are not what they should be.
    """
    if bench.stands_in:
        return None  # what a graph takes on a CPU says nothing of what it takes on a card
    bundle = bench.bundle
    quantiles = [
        b.definition.quantile
        for b in bundle.budgets
        if b.definition.kind in _QUANTILES and b.definition.quantile is not None
    ]
    arm = Arm(setup=bench.setup, inputs=asked.inputs)
    schedule = Schedule(
        looks=(ROUNDS,),
        requests=requests_per_round(quantiles, ROUNDS),
        min_round_s=MIN_ROUND_S,
        batch=bundle.target.workload.batch,
        answering=asked.answering,
        arrivals_per_s=bundle.target.workload.requests_per_s,
        seed=seed,
        limits=bench.device.limits(),
    )
    place = Place(device=bench.device, evidence=bench.evidence, workdir=bench.workdir)
    return measure([arm], schedule, place, progress=watcher.advance)[0]
