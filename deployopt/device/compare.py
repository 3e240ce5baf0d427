"""Compare two bundles on one machine in one run: interleaved rounds, paired answers, exact sizes.

In: an old bundle and a new one. Out: each aspect with its interval, and whether the new one may
take the old one's place. Nothing that was measured elsewhere or before is looked at. Refuses
bundles that answer different questions, and a machine that is not the target unless a proxy will
do. Needs only the small install.
"""

from typing import Final

import msgspec
import numpy as np

from deployopt.core.budget import limit_of
from deployopt.core.comparison import Comparison, Difference, FailOn
from deployopt.core.errors import DeviceError, IntegrityError, UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import AccuracyTrial, Split, Trial
from deployopt.core.metric import Kind
from deployopt.core.regression import (
    accuracy_difference,
    latency_difference,
    memory_difference,
    refusals_of,
    same_answers,
    settled,
    size_difference,
)
from deployopt.core.relative import LOOKS
from deployopt.core.result import CompareResult
from deployopt.core.stages import TimedStages
from deployopt.core.told_differences import operator_difference, precision_difference
from deployopt.core.watching import SILENT, Watcher
from deployopt.device.accuracy import (
    Bools,
    Evaluation,
    Judged,
    annotations,
    compare_with_reference,
    evaluate,
    timing_inputs,
)
from deployopt.device.admission import require_target, runtime_warnings
from deployopt.device.agreement import agrees
from deployopt.device.bundle_reader import OpenBundle
from deployopt.device.device import Device, ThisMachine
from deployopt.device.drawing.pairing import pair_drawings
from deployopt.device.generating.bundled import asks_choices
from deployopt.device.generating.comparing import compare_language
from deployopt.device.generating.sides import language_side_of
from deployopt.device.latency import Place, Schedule, measure
from deployopt.device.machine import exact_for, matches
from deployopt.device.onnx_operators import operators_of
from deployopt.device.reference import Reference, classes_of, logits_of
from deployopt.device.ring import ROUND_S, Ring, Terms
from deployopt.device.setup import Arm, EvaluationSet
from deployopt.device.sides import (
    Side,
    named,
    notes_of,
    require_comparable,
    same_model,
    side_of,
)
from deployopt.store.faults import storage_errors
from deployopt.store.staging import scratch_folder, staged_folder

_REQUESTS: Final = 30
_DRAWINGS: Final = 3
"""Requests of many passes are fewer a round."""


def compare(  # noqa: PLR0913 -- what the command line offers
    old: OpenBundle,
    new: OpenBundle,
    device: Device | None = None,
    *,
    terms: Terms = Terms(),  # noqa: B008 -- frozen
    fail_on: FailOn = FailOn.UNDECIDED,
    proxy: bool = False,
    watcher: Watcher = SILENT,
) -> CompareResult:
    """Measure both on `device` (None: this machine) and say whether `new` may follow `old`.

    Raises:
        UsageError: they answer different questions; or the device is not the new one's target and
            nobody said that a proxy will do.
        DeviceError: neither can be measured there.
    """
    stages = TimedStages(watcher)
    device = device or ThisMachine()
    require_comparable(named(old), named(new))
    mismatch = matches(new.target, device.machine)
    if not proxy:
        require_target(new, device, mismatch, "compare OLD NEW")
    warnings = dict.fromkeys(
        (
            *runtime_warnings(old, device.machine, matches(old.target, device.machine)),
            *runtime_warnings(new, device.machine, mismatch),
        )
    )
    scratch = scratch_folder()
    with storage_errors("measuring", scratch), staged_folder(scratch) as workdir:
        ring = Ring(device=device, mismatch=mismatch, workdir=workdir)
        found = _compared(old, new, ring, terms_for(terms, new), stages)
    return CompareResult(
        comparison=found,
        fail_on=fail_on,
        stages=stages.times,
        warnings=tuple(warnings),
        exit_code=found.exit_code(fail_on),
    )


def compare_sides(
    old: Side, new: Side, ring: Ring, terms: Terms, watcher: Watcher = SILENT
) -> Comparison:
    """Both are asked the new one's gate split, then timed against each other.

    Raises:
        DeviceError: one of them cannot answer, or neither can be timed.
    """
    margins = terms.margins
    same = same_model(old, new)
    watcher.stage("Answers of the new one", len(new.reference))
    there = new.evaluation or _ask(new, new.data, ring, watcher)
    if same:
        before = there
    else:
        watcher.stage("Answers of the old one", len(new.reference))
        before = _ask(old, _same_examples(old, new), ring, watcher)
    accuracy = _accuracy(old, new, before, there, ring)
    watcher.stage("Latency, one beside the other", quiet=True)
    trials = _latency((old, before), (new, there), ring, terms, watcher)
    differences = (
        latency_difference(*trials, margins.cost),
        same_answers(accuracy, margins.accuracy)
        if same
        else accuracy_difference(accuracy, margins.accuracy),
        memory_difference(*trials, margins.cost),
        size_difference(old.told.size_bytes, new.told.size_bytes, margins.cost),
        precision_difference(old.told.precision.value, new.told.precision.value),
        *_operators(old, new),
    )
    refusals = refusals_of(accuracy, trials[1])
    notes = notes_of(old, new)
    return ring.conclude((old, new), trials, differences, refusals, notes, margins)


def terms_for(terms: Terms, bundle: OpenBundle) -> Terms:
    """The terms with the new one's own budgets where nothing else was said.

    Raises:
        UsageError: a margin is of the other kind of model.
    """
    budgets, language = bundle.budgets, bundle.manifest.interface.generates
    if terms.nll is not None and not language:
        raise UsageError("--nll-margin is of language models; of others say --accuracy-margin.")
    if terms.accuracy is not None and language and not asks_choices(bundle):
        raise UsageError(
            "--accuracy-margin is of answers that are right or wrong, and this language model's "
            "bundle holds no questions with choices. Say --nll-margin instead."
        )
    accuracy = terms.accuracy
    if accuracy is None:
        accuracy = limit_of(budgets, Kind.ACCURACY)
    nll = limit_of(budgets, Kind.SCORE) if terms.nll is None else terms.nll
    return msgspec.structs.replace(terms, accuracy=accuracy, nll=nll)


def _compared(
    old: OpenBundle, new: OpenBundle, ring: Ring, terms: Terms, watcher: Watcher
) -> Comparison:
    machine = ring.device.machine
    if new.manifest.interface.generates:
        sides = language_side_of(old, machine), language_side_of(new, machine)
        return compare_language(*sides, ring, terms, watcher)
    return compare_sides(side_of(old, machine), side_of(new, machine), ring, terms, watcher)


def _same_examples(old: Side, new: Side) -> EvaluationSet:
    """The new one's examples and batches, read with the old one's tokenizer or sizes."""
    return msgspec.structs.replace(old.data, examples=new.data.examples, workload=new.data.workload)


def _ask(side: Side, data: EvaluationSet, ring: Ring, watcher: Watcher) -> Evaluation:
    return evaluate(
        side.setup,
        data,
        ring.workdir,
        ring.device,
        limits=ring.device.limits(),
        progress=watcher.advance,
    )


def _accuracy(
    old: Side, new: Side, before: Evaluation, after: Evaluation, ring: Ring
) -> AccuracyTrial:
    """Right and wrong of both on the same examples; without labels right is the reference's."""
    if new.interface.detects or new.interface.pairs:
        return _boxes(old, new, before, after, ring)
    labels = decode_examples(new.data.examples).labels
    was, now = _right(old, new, before, labels), _right(new, new, after, labels)
    return AccuracyTrial(
        artifact=new.told.artifact,
        split=Split.GATE,
        evidence=ring.evidence,
        labelled=labels is not None,
        examples=len(now),
        both_right=int((was & now).sum()),
        lost=int((was & ~now).sum()),
        gained=int((~was & now).sum()),
        both_wrong=int((~was & ~now).sum()),
        non_finite=after.non_finite,
        synthetic=new.synthetic,
        exact_arithmetic=_exact(old, new, ring),
        note=f"against {old.told.name}",
    )


def _boxes(
    old: Side, new: Side, before: Evaluation, after: Evaluation, ring: Ring
) -> AccuracyTrial:
    """Of a detector or an image-text model: what the old one finds stands for the reference."""
    judged = Judged(
        artifact=new.told.artifact,
        split=Split.GATE,
        evidence=ring.evidence,
        interface=new.interface,
        labels=None,
        truth=annotations(new.interface, new.data.examples),
        exact_arithmetic=_exact(old, new, ring),
        note=f"against {old.told.name}",
    )
    return compare_with_reference(judged, Reference(results=before.outputs), after)


def _exact(old: Side, new: Side, ring: Ring) -> bool:
    return all(
        exact_for(
            new.target, ring.device.machine, side.told.precision, reduced_range=side.reduced_range
        )
        for side in (old, new)
    )


def _right(side: Side, new: Side, evaluation: Evaluation, labels: tuple[int, ...] | None) -> Bools:
    """Whether each answer is right, by the labels or by the reference of the new one."""
    if new.interface.draws:
        results = new.reference.results or ()
        return pair_drawings(new.interface.outputs[0], results, evaluation.outputs).agree
    if not new.interface.classifies:
        results = new.reference.results or ()
        _require_same(len(results), len(evaluation.outputs))
        pairs = zip(evaluation.outputs, results, strict=True)
        return np.asarray([agrees(answer, wanted) for answer, wanted in pairs], dtype=np.bool_)
    classes = classes_of(logits_of(side.interface, evaluation.outputs))
    wanted = new.reference.classes if labels is None else np.asarray(labels, dtype=np.int64)
    _require_same(0 if wanted is None else len(wanted), len(classes))
    return np.asarray((classes == wanted) & (classes >= 0), dtype=np.bool_)


def _require_same(wanted: int, found: int) -> None:
    if wanted != found:
        raise IntegrityError(
            f"The gate split has answers to {wanted} examples, and {found} were given: they are "
            "not of the same data. Build the new bundle again."
        )


def _latency(
    old: tuple[Side, Evaluation],
    new: tuple[Side, Evaluation],
    ring: Ring,
    terms: Terms,
    watcher: Watcher,
) -> tuple[Trial, Trial]:
    arms = [
        Arm(
            setup=side.setup,
            inputs=timing_inputs(_same_examples(side, new[0]), evaluation, seed=terms.seed),
        )
        for side, evaluation in (old, new)
    ]
    schedule = Schedule(
        looks=tuple(look.rounds for look in LOOKS),
        requests=_DRAWINGS if new[0].interface.draws else _REQUESTS,
        min_round_s=ROUND_S[ring.evidence],
        batch=new[0].data.workload.batch,
        arrivals_per_s=new[0].data.workload.requests_per_s,
        seed=terms.seed,
        wall_s=terms.time_limit_s,
        limits=ring.device.limits(),
    )
    place = Place(device=ring.device, evidence=ring.evidence, workdir=ring.workdir)
    before, after = measure(
        arms,
        schedule,
        place,
        decided=lambda trials: settled(trials[0], trials[1], terms.margin),
        progress=watcher.advance,
    )
    if before.failure is not None and after.failure is not None:
        raise DeviceError(f"Neither of the two can be measured. {after.failure}")
    return before, after


def _operators(old: Side, new: Side) -> tuple[Difference, ...]:
    """Of two ONNX graphs; the graphs of other runtimes are not read."""
    if {old.setup.runtime, new.setup.runtime} != {"onnxruntime"}:
        return ()
    return (operator_difference(operators_of(old.setup.model), operators_of(new.setup.model)),)
