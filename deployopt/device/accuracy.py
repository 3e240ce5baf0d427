"""The accuracy run: every example once in a fresh child, paired with the reference's answers.

In: a setup and a split. Out: outputs by request; an AccuracyTrial of right and wrong on the same
examples. The session is the one that ships; an output that is not finite is wrong, and counted.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.boxes import Found, Truth, truth_of
from deployopt.core.drawing import SECONDS
from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.core.evidence import Evidence
from deployopt.core.examples import Example, decode_examples
from deployopt.core.image_drift import ImageDrift
from deployopt.core.interface import Interface
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.pairs import captions_of
from deployopt.core.samples import Array, Feed, decode_samples
from deployopt.device.agreement import agrees
from deployopt.device.detecting.decoding import decode_boxes
from deployopt.device.detecting.pairing import pair_detections
from deployopt.device.device import Device
from deployopt.device.drawing.pairing import pair_drawings
from deployopt.device.inputs import feeds
from deployopt.device.protocol import Evaluated, EvaluateRequest, Working
from deployopt.device.reference import Reference, classes_of, logits_of
from deployopt.device.retrieving.pairing import embeddings_of, pair_retrievals
from deployopt.device.setup import EvaluationSet, Limits, Setup, TimingInputs, silent
from deployopt.store.staging import staged_folder

TIMING_INPUTS: Final = 512
TIMING_BYTES: Final = 16 * 2**20
"""Timed inputs lie in the measured process, so they may not dwarf the model; yet at least 32 do."""
TIMING_LEAST: Final = 32
DRAWN_INPUTS: Final = 3
"""Prompts that drawings are timed with: each takes as long as any other, and that is long."""

Progress = Callable[[float, str], None]
Bools = npt.NDArray[np.bool_]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs by request, and what the run took."""

    outputs: tuple[Feed, ...]
    examples: int
    non_finite: int
    """Examples with an output that is not finite."""
    peak_rss_bytes: int
    base_rss_bytes: int
    seconds: float


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Whose accuracy it is, where it was measured, and what the right answers are."""

    artifact: str
    split: Split
    evidence: Evidence
    interface: Interface
    labels: tuple[int, ...] | None
    """None where nobody knows: then the reference counts as right."""
    truth: tuple[Truth, ...] | tuple[str, ...] | None = None
    """Of a detector, what there is to find; of an image-text model the captions."""
    exact_arithmetic: bool = True
    synthetic: bool = False
    note: str = ""
    stand_in: str | None = None
    """What answered in the artifact's place; None where it did so itself."""


def evaluate(
    setup: Setup,
    data: EvaluationSet,
    workdir: Path,
    device: Device,
    *,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
    progress: Progress = silent,
) -> Evaluation:
    """Run every example through the model, in batches of the workload.

    Raises:
        DeviceError: the model crashed, hung, or took more than it may.
        IntegrityError: a file is not what it should be.
        UsageError: the examples are not what the model takes.
    """

    def watch(sign: Working) -> None:
        progress(sign.share, sign.what)

    with staged_folder(workdir.absolute()) as folder:
        result = folder / "outputs.npz"
        outputs = (*setup.outputs, SECONDS) if data.interface.draws else setup.outputs
        request = EvaluateRequest(
            setup=msgspec.structs.replace(setup, model=setup.model.absolute(), outputs=outputs),
            data=msgspec.structs.replace(
                data, folder=data.folder.absolute(), examples=data.examples.absolute()
            ),
            result=result,
        )
        reply = device.ask(request, limits, watch)
        if not isinstance(reply, Evaluated):
            raise DeviceError("The model's process answered another question.")
        found = decode_samples(result)
    return Evaluation(
        outputs=tuple(found),
        examples=reply.examples,
        non_finite=reply.non_finite,
        peak_rss_bytes=reply.peak_rss_bytes,
        base_rss_bytes=reply.base_rss_bytes,
        seconds=reply.seconds,
    )


def timing_inputs(
    data: EvaluationSet, evaluation: Evaluation, *, seed: int = 0, most: int = TIMING_INPUTS
) -> TimingInputs:
    """A seeded choice of the accuracy run's full batches, with the outputs it gave."""
    examples = decode_examples(data.examples)
    batch = data.workload.batch
    if data.interface.draws:
        most = min(most, DRAWN_INPUTS)
    full = len(examples) // batch
    order = list(range(full))
    random.Random(f"inputs {seed}").shuffle(order)  # noqa: S311 -- a choice, not a secret
    drawn = [
        example
        for index in order[:most]
        for example in examples.inputs[index * batch : (index + 1) * batch]
    ]
    made = tuple(held_requests(data, drawn, least=TIMING_LEAST))
    chosen = order[: len(made)]
    # What a pipeline tells of its parts besides is never the same again.
    names = data.interface.outputs
    return TimingInputs(
        feeds=made,
        expected=tuple(
            {name: evaluation.outputs[index][name] for name in names} for index in chosen
        ),
    )


def held_requests(
    data: EvaluationSet, examples: Sequence[Example], *, least: int
) -> Iterator[Feed]:
    """Requests of these examples, up to what the measured process may hold, `least` at least."""
    size = 0
    for number, feed in enumerate(feeds(data.interface, data.folder, examples, data.workload), 1):
        yield feed
        size += sum(array.nbytes for array in feed.values())
        if size > TIMING_BYTES and number >= least:
            return


def compare_with_reference(
    judged: Judged, reference: Reference, evaluation: Evaluation
) -> AccuracyTrial:
    """Count right and wrong of both on the same examples.

    Raises:
        IntegrityError: reference, labels and outputs are not of the same examples.
        MissingExtraError: boxes are judged by what is not installed.
    """
    if judged.interface.detects:
        return _detections(judged, reference, evaluation)
    if judged.interface.pairs:
        return _retrievals(judged, reference, evaluation)
    drift: ImageDrift | msgspec.UnsetType = msgspec.UNSET
    if judged.interface.draws:
        name = judged.interface.outputs[0]
        paired = pair_drawings(name, reference.results or (), evaluation.outputs)
        candidate, drift = paired.agree, paired.drift
        right = np.ones_like(candidate)
    elif not judged.interface.classifies:
        candidate = _agreement(reference, evaluation.outputs)
        right = np.ones_like(candidate)
    else:
        classes = classes_of(logits_of(judged.interface, evaluation.outputs))
        theirs = _classes(reference)
        _require_same(len(theirs), len(classes))
        labels = theirs if judged.labels is None else np.asarray(judged.labels, dtype=np.int64)
        _require_same(len(labels), len(classes))
        # A class of -1 (not finite) is never right, not even where the reference has it too.
        candidate = (classes == labels) & (classes >= 0)
        right = theirs == labels
    return AccuracyTrial(
        artifact=judged.artifact,
        split=judged.split,
        evidence=judged.evidence,
        labelled=judged.labels is not None,
        examples=len(candidate),
        both_right=int((right & candidate).sum()),
        lost=int((right & ~candidate).sum()),
        gained=int((~right & candidate).sum()),
        both_wrong=int((~right & ~candidate).sum()),
        non_finite=evaluation.non_finite,
        synthetic=judged.synthetic,
        exact_arithmetic=judged.exact_arithmetic,
        note=judged.note,
        stand_in=judged.stand_in,
        drift=drift,
    )


def annotations(interface: Interface, examples: Path) -> tuple[Truth, ...] | tuple[str, ...] | None:
    """What there is to find in a split's images, or their captions; None for other models."""
    if interface.pairs:
        return captions_of(decode_examples(examples).inputs, str(examples))
    return truth_of(decode_examples(examples).inputs, str(examples)) if interface.detects else None


def _detections(judged: Judged, reference: Reference, evaluation: Evaluation) -> AccuracyTrial:
    truth = tuple(one for one in judged.truth or () if isinstance(one, Truth))
    theirs = _found(judged.interface, reference.results or ())
    ours = _found(judged.interface, evaluation.outputs)
    _require_same(len(truth), len(theirs))
    _require_same(len(truth), len(ours))
    paired = pair_detections(truth, theirs, ours)
    trial = _over_all(judged, evaluation, len(truth), (paired.lost, paired.gained))
    return msgspec.structs.replace(trial, precision=paired.loss)


def _retrievals(judged: Judged, reference: Reference, evaluation: Evaluation) -> AccuracyTrial:
    captions = tuple(one for one in judged.truth or () if isinstance(one, str))
    names = judged.interface.outputs[:2]
    theirs = embeddings_of(names, reference.results or ())
    ours = embeddings_of(names, evaluation.outputs)
    _require_same(len(captions), len(theirs.images))
    _require_same(len(captions), len(ours.images))
    paired = pair_retrievals(captions, theirs, ours)
    trial = _over_all(judged, evaluation, len(captions), (paired.lost, paired.gained))
    return msgspec.structs.replace(trial, recall=paired.loss)


def _over_all(
    judged: Judged, evaluation: Evaluation, examples: int, unlike: tuple[int, int]
) -> AccuracyTrial:
    """Of what is no mean over examples: in `unlike` how many it lost, and gained, something in."""
    lost, gained = unlike
    return AccuracyTrial(
        artifact=judged.artifact,
        split=judged.split,
        evidence=judged.evidence,
        labelled=True,
        examples=examples,
        both_right=examples - lost - gained,
        lost=lost,
        gained=gained,
        both_wrong=0,
        non_finite=evaluation.non_finite,
        exact_arithmetic=judged.exact_arithmetic,
        note=judged.note,
        stand_in=judged.stand_in,
    )


def _found(interface: Interface, outputs: Sequence[Feed]) -> tuple[Found, ...]:
    if interface.boxes is msgspec.UNSET:
        raise IntegrityError("The manifest does not say how the model's outputs become boxes.")
    return decode_boxes(interface.boxes, interface.outputs, outputs, len(interface.labels))


def _classes(reference: Reference) -> Array:
    if reference.classes is None:
        raise IntegrityError("The reference's answers hold no classes.")
    return reference.classes


def _agreement(reference: Reference, outputs: tuple[Feed, ...]) -> Bools:
    results = reference.results or ()
    _require_same(len(results), len(outputs))
    return np.asarray([agrees(a, b) for a, b in zip(outputs, results, strict=True)], dtype=np.bool_)


def _require_same(expected: int, found: int) -> None:
    if expected != found:
        raise IntegrityError(
            f"The reference answered {expected} examples and the candidate {found}: they are not "
            "of the same data."
        )
