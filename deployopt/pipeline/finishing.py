"""The end of every build, whatever it built: the result, the bundle under its name, the lock.

In: what was found and judged. Out: a BuildResult, published. Only an accepted bundle gets the plain
name; of a rejected one there is the report alone.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Format
from deployopt.core.card import EXCHANGE, ORT_GPU, TENSORRT_INSTALL, TENSORRT_PACKAGE
from deployopt.core.codec import decode_json
from deployopt.core.engine import LISTING_FILE, EngineListing
from deployopt.core.errors import StepError
from deployopt.core.evidence import Evidence
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult, DataSummary, PlanSummary
from deployopt.core.source import Dataset
from deployopt.core.stages import TimedStages
from deployopt.core.summaries import tail_quantile
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome
from deployopt.device.device import address_of
from deployopt.pipeline.bundling import Judged, bundle_digest, bundle_page, lasting_files, publish
from deployopt.pipeline.candidates import Candidate, candidate_result
from deployopt.pipeline.card_graphs import graph_note
from deployopt.pipeline.ground import Ground
from deployopt.pipeline.remembering import remember
from deployopt.pipeline.sharing import said_of_share
from deployopt.sources.locking import encode_lock, lock_of
from deployopt.store.publishing import check_destination
from deployopt.store.writing import atomic_write_bytes

_UNSAFE: Final = re.compile(r"[^a-z0-9._-]+")
_WORDS: Final = ("accepted", "provisional", "undecided")


def check_destinations(request: BuildRequest) -> None:
    """Raise UsageError where something else than a bundle is at a place that may be needed."""
    for word in _WORDS:
        check_destination(destination(request, word))


def all_failed(reasons: Mapping[str, str]) -> StepError:
    """What to say where nothing is left to judge; a reason that all share is said once."""
    shared = set(reasons.values())
    if len(shared) == 1:
        return StepError(f"Every candidate failed: {shared.pop().removeprefix('failed: ')}")
    said = (f"{name}: {why.removeprefix('failed: ').rstrip('.')}." for name, why in reasons.items())
    return StepError(f"Every candidate failed. {' '.join(said)}")


def result_of(
    prepared: Ground,
    candidates: Sequence[Candidate],
    reasons: Mapping[str, str],
    judged: Judged,
    stages: TimedStages,
) -> BuildResult:
    """What was found, tried and judged; what only one kind of build has is put in by it."""
    request, plan, dataset = prepared.request, prepared.plan, prepared.dataset
    quantile = tail_quantile(prepared.budgets)
    winner = judged.made.recipe.name
    return BuildResult(
        target=request.target.name,
        target_title=request.target.title,
        model=prepared.source.name,
        budgets=prepared.budgets,
        plan=PlanSummary(
            fits=plan.fits,
            fit_reason=plan.fit_reason,
            forecasts=plan.forecasts,
            gate_examples=plan.gate_examples,
            gate_examples_needed=plan.gate_examples_needed,
        ),
        candidates=tuple(
            candidate_result(c, candidates, winner, reasons.get(c.recipe.name, ""), quantile)
            for c in candidates
        ),
        verdict=judged.verdict,
        bundle_digest=bundle_digest(*lasting_files(prepared, judged)),
        machine=prepared.machine,
        device=address_of(prepared.device),
        data=_summary(dataset),
        questions=None if prepared.choices is None else _summary(prepared.choices),
        stages=stages.times,
        warnings=(*prepared.warnings, *said_of_share(prepared.bench.store)),
        accept_predicted=request.accept_predicted,
        exit_code=judged.verdict.exit_code(accept_predicted=request.accept_predicted),
    )


def _summary(dataset: Dataset) -> DataSummary:
    return DataSummary(
        name=dataset.name,
        labelled=dataset.labelled,
        splits={str(split): file.examples for split, file in dataset.splits.items()},
        notes=dataset.notes,
    )


def remembered(
    prepared: Ground, candidates: Sequence[Candidate], result: BuildResult
) -> BuildResult:
    """What was measured on the target is kept; a store that is full is a warning."""
    reason = remember(prepared, candidates)
    if reason is None:
        return result
    return msgspec.structs.replace(result, warnings=(*result.warnings, reason))


def publish_judged(
    prepared: Ground, judged: Judged, result: BuildResult, stages: TimedStages
) -> BuildResult:
    """A bundle under a name that says what it is; of a rejected one only the report."""
    folder = destination(prepared.request, judged.verdict.word)
    stages.stage("Publish")
    if judged.verdict.outcome is Outcome.REJECTED:
        page = folder.with_name(f"{folder.name}.html")
        result = msgspec.structs.replace(result, page=str(page))
        atomic_write_bytes(page, bundle_page(prepared, judged, result))
        return result
    settle = None
    if judged.verdict.outcome is Outcome.UNDECIDED and prepared.evidence is not Evidence.TARGET:
        settle = f"deployopt verify {folder.name}"
    install = None if settle is None else install_there(prepared.request.target, judged)
    result = msgspec.structs.replace(result, bundle=str(folder), settle=settle, install=install)
    publish(prepared, judged, result, folder)
    return result


def install_there(target: Target, judged: Judged) -> str | None:
    """What opens the bundle on a card's machine; None where the small install does."""
    artifact = judged.made.artifact
    if artifact.format is Format.ENGINE:
        path = artifact.folder / LISTING_FILE
        built = decode_json(path.read_bytes(), EngineListing, where=str(path))
        return f"pip install deployopt '{built.builder}=={built.version}' nvidia-ml-py"
    note = graph_note(target, artifact, ran=False)
    if note is None:
        return None
    if note.runtime == TENSORRT_PACKAGE:
        return f"pip install deployopt nvidia-ml-py, and {TENSORRT_INSTALL}"
    if target.hardware.arch == "aarch64":
        return f"pip install deployopt, then {ORT_GPU} from NVIDIA in the place of onnxruntime"
    return f"pip install 'deployopt[gpu]' && {EXCHANGE}"


def destination(request: BuildRequest, word: str) -> Path:
    """Where a bundle of this verdict goes: only an accepted one gets the plain name."""
    if request.output is not None:
        plain = request.output
    else:
        plain = Path(f"{model_label(request.model)}-{request.target.name}")
    return plain if word == Outcome.ACCEPTED.value else plain.with_name(f"{plain.name}.{word}")


def model_label(model: str) -> str:
    """The model's part of a bundle's usual name, whatever the model is called."""
    name = Path(model).stem if "/" in model else model
    return _UNSAFE.sub("-", name.casefold().removeprefix("hub:")).strip("-.") or "model"


def write_lock(prepared: Ground) -> None:
    """A lock file that was asked for and is not there yet is made."""
    path = prepared.request.lock
    if path is not None and not path.exists():
        choices = () if prepared.choices is None else (prepared.choices.origin,)
        origins = (prepared.source.origin, prepared.dataset.origin, *choices)
        atomic_write_bytes(path, encode_lock(lock_of(origins)))
