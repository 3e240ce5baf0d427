"""A bundle on an emulated ARM processor: does it import, answer alike, and what does it cost.

In: a bundle, a target, how much. Out: an EmulateResult. Refuses targets that cannot be emulated,
and models that are too slow under the emulator for the time that is given. Nothing is timed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.emulation import (
    CountsCompared,
    EmulateResult,
    InstructionCounts,
    Numerics,
    SmallInstall,
)
from deployopt.core.errors import UsageError
from deployopt.core.measurement import Machine
from deployopt.core.stages import TimedStages
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome
from deployopt.core.watching import SILENT, Watcher
from deployopt.device.accuracy import Evaluation, evaluate
from deployopt.device.bundle_reader import REFERENCE, OpenBundle, open_bundle
from deployopt.device.machine import describe_machine, exact_for
from deployopt.device.reference import decode_reference
from deployopt.device.setup import EvaluationSet, Limits, Setup
from deployopt.remote.emulation.choosing import Few, few_examples, first_requests
from deployopt.remote.emulation.counting import count_instructions
from deployopt.remote.emulation.furnishing import Bench, furnished
from deployopt.remote.emulation.installing import RUNTIME
from deployopt.remote.emulation.judging import Compared, judged, numerics_of
from deployopt.store.faults import storage_errors
from deployopt.store.layout import default_root
from deployopt.store.staging import scratch_folder, staged_folder

EXAMPLES: Final = 8
TIME_LIMIT_S: Final = 300.0
_COUNTED: Final = 3
_CODES: Final = {Outcome.ACCEPTED: 0, Outcome.REJECTED: 1, Outcome.UNDECIDED: 3}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How much is tried, and what the counts are compared with."""

    examples: int = EXAMPLES
    time_limit_s: float = TIME_LIMIT_S
    """Of what is emulated; fewer examples are used where they would take longer."""
    onnxruntime: str | None = None
    earlier: EmulateResult | None = None
    growth_max: float | None = None
    """The share that instructions may grow by against the earlier result."""


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    few: Few
    there: Evaluation
    counts: InstructionCounts


def emulate(
    bundle: Path,
    target: Target | None = None,
    wanted: Wanted = Wanted(),  # noqa: B008 -- frozen
    *,
    store: Path | None = None,
    watcher: Watcher = SILENT,
) -> EmulateResult:
    """Run the bundle under the emulator; the target is the bundle's own where none is given.

    Raises:
        IntegrityError: the bundle is not the one that was built.
        UsageError: the target cannot be emulated, the model is too large for it, or the bundle has
            no examples.
        DeviceError: a program or the network is missing, or the model failed there.
        StorageError: the disk is full.
    """
    stages = TimedStages(watcher)
    stages.stage("Digests")
    opened = open_bundle(bundle)
    target = target or opened.target
    setup, data = _request(opened)
    stages.stage("System and packages")
    bench = furnished((store or default_root()).absolute(), target, wanted.onnxruntime)
    stages.stage("Imports")
    install = _install(bench)
    scratch = scratch_folder()
    with storage_errors("emulating", scratch), staged_folder(scratch) as workdir:
        found = _run(bench, setup, data, wanted, workdir, stages)
    here = describe_machine()
    numerics = _numerics(opened, target, here, found)
    compared = compared_with(wanted, bench.processor.name, found.counts)
    outcome, reasons = judged(numerics, compared)
    return EmulateResult(
        bundle=str(opened.folder),
        bundle_digest=opened.manifest.bundle_digest,
        name=opened.manifest.name,
        precision=opened.manifest.precision,
        deployed_bytes=opened.size_bytes,
        target=target.name,
        target_title=target.title,
        processor=bench.processor.name,
        emulator=bench.emulator,
        onnxruntime=bench.packages.versions[RUNTIME],
        onnxruntime_here=here.packages.get(RUNTIME),
        gate_examples=found.few.available,
        numerics=numerics,
        install=install,
        counts=found.counts,
        compared=compared,
        outcome=outcome,
        reasons=reasons,
        seconds={stage.stage: stage.seconds for stage in stages.times},
        warnings=tuple(_warnings(opened, target, found, wanted)),
        exit_code=_CODES[outcome],
    )


def _request(opened: OpenBundle) -> tuple[Setup, EvaluationSet]:
    """What is asked here and there: one thread, since more of them would change the counts."""
    setup, data = opened.setup, opened.gate
    if setup.runtime != RUNTIME or setup.provider != "cpu":
        raise UsageError(
            f"{opened.folder} runs on {setup.runtime} with provider {setup.provider}; what can be "
            "emulated is onnxruntime on the processor. Build a bundle for an ARM target."
        )
    if data is None:
        raise UsageError(
            f"{opened.folder} holds no gate examples with the reference's answers, so that there "
            "is nothing to compare. Build it again, with --data."
        )
    return msgspec.structs.replace(setup, threads=1), data


def _install(bench: Bench) -> SmallInstall:
    facts = bench.device.facts
    return SmallInstall(
        python=facts.python,
        versions=bench.packages.versions,
        sizes=bench.packages.sizes,
        imported=facts.imported,
    )


def _run(
    bench: Bench,
    setup: Setup,
    data: EvaluationSet,
    wanted: Wanted,
    workdir: Path,
    stages: TimedStages,
) -> _Found:
    stages.stage("This machine")
    few = few_examples(setup, data, wanted.examples, wanted.time_limit_s, workdir)
    stages.stage("Numerics")
    limits = Limits(wall_s=wanted.time_limit_s, quiet_s=wanted.time_limit_s)
    there = evaluate(setup, few.data, workdir, bench.device, limits=limits, progress=stages.advance)
    stages.stage("Instructions")
    counted = first_requests(few.data, _COUNTED, workdir)
    counts = count_instructions(
        bench.device, bench.counter, (setup, counted), workdir, timeout_s=wanted.time_limit_s
    )
    return _Found(few=few, there=there, counts=counts)


def _numerics(opened: OpenBundle, target: Target, here: Machine, found: _Found) -> Numerics:
    manifest = opened.manifest
    return numerics_of(
        Compared(
            interface=manifest.interface,
            precision=manifest.precision,
            reference=decode_reference(opened.folder / REFERENCE),
            there=found.there,
            here=found.few.here,
            exact_here=exact_for(
                target, here, manifest.precision, reduced_range=opened.reduced_range()
            ),
        )
    )


def compared_with(
    wanted: Wanted, processor: str, counts: InstructionCounts
) -> CountsCompared | None:
    """The earlier result's counts and these; None where there is no earlier one.

    Raises:
        UsageError: growth was limited, and the two were not counted on the same.
    """
    earlier = wanted.earlier
    if earlier is None:
        return None
    then = earlier.counts
    same = (earlier.processor, then.examples_sha256) == (processor, counts.examples_sha256)
    if wanted.growth_max is not None and not same:
        raise UsageError(
            f"The earlier result, of {earlier.name} on {earlier.processor}, was not counted on "
            "what this one was, so that no growth can be told. Compare results of the same "
            "processor and the same examples, or leave out --max-growth."
        )
    return CountsCompared(
        name=earlier.name,
        precision=earlier.precision,
        processor=earlier.processor,
        onnxruntime=earlier.onnxruntime,
        bundle_digest=earlier.bundle_digest,
        counts=then,
        ratio=counts.each() / max(1.0, then.each()),
        allowed=None if wanted.growth_max is None else 1 + wanted.growth_max,
    )


def _warnings(opened: OpenBundle, target: Target, found: _Found, wanted: Wanted) -> Iterator[str]:
    if opened.target.name != target.name:
        yield f"the bundle was built for {opened.target.name}"
    used = found.few.here.examples
    if used < min(wanted.examples, found.few.available):
        yield f"{used} examples were used: more would have taken longer than the time limit"
    if not found.counts.steady:
        yield "asked twice, an answer took other numbers of instructions (over 0.1 %)"
    earlier = wanted.earlier
    if earlier is not None and earlier.counts.examples_sha256 != found.counts.examples_sha256:
        yield "the earlier result was counted on other examples"
