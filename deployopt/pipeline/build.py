"""The main job: from a request to a judged and published bundle.

High level first: prepare, try the recipes, choose one, judge it on examples that had no say in the
choice, publish. A missed budget is a verdict; only what could not be done is an exception.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import StepError
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import Split
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult, DataSummary, PlanSummary
from deployopt.core.stages import TimedStages
from deployopt.core.summaries import accuracy_summary, tail_quantile
from deployopt.core.verdict import Outcome
from deployopt.core.watching import Watcher
from deployopt.pipeline.answering import candidate_answers, reference_answers
from deployopt.pipeline.bundling import Judged, bundle_digest, lasting_files, publish
from deployopt.pipeline.candidates import Candidate, Chosen, candidate_result
from deployopt.pipeline.choosing import choose
from deployopt.pipeline.doubts import accuracy_doubts
from deployopt.pipeline.making import Made, check_recipes
from deployopt.pipeline.preparing import Prepared, prepare
from deployopt.pipeline.trying import accuracy_trial, try_recipes
from deployopt.sources.locking import encode_lock, lock_of
from deployopt.sources.modules import GivenModule, module_source
from deployopt.store.publishing import check_destination
from deployopt.store.store import Store
from deployopt.store.writing import atomic_write_bytes

_UNSAFE: Final = re.compile(r"[^a-z0-9._-]+")


def run_build(
    request: BuildRequest,
    watcher: Watcher,
    given: GivenModule | None = None,
) -> BuildResult:
    """Do it; raises DeployoptError of any kind, a missed budget excepted.

    `given` is a module from Python, in place of the request's model name.
    """
    stages = TimedStages(watcher)
    with Store(request.store) as store:
        for word in _WORDS:
            check_destination(destination(request, word))
        source = None if given is None else module_source(given, name=request.model, store=store)
        prepared = prepare(request, store, stages, source)
        check_recipes(prepared.recipes, prepared.source.artifact, prepared.bench)
        candidates = try_recipes(prepared, stages)
        chosen = choose(candidates, prepared.budgets)
        if chosen.candidate is None or chosen.candidate.made is None:
            raise StepError(
                "Every candidate failed. "
                + " ".join(f"{k}: {v}." for k, v in chosen.reasons.items())
            )
        judged = _judge(prepared, chosen.candidate, chosen.candidate.made, candidates, stages)
        result = _result(prepared, candidates, chosen, judged, stages)
        _write_lock(prepared)
        return _publish(prepared, judged, result, stages)


def _judge(
    prepared: Prepared,
    candidate: Candidate,
    made: Made,
    candidates: tuple[Candidate, ...],
    watcher: Watcher,
) -> Judged:
    """The gate: the chosen candidate on the examples that are used once."""
    examples = prepared.dataset.splits[Split.GATE].examples
    watcher.stage("Gate: reference", examples)
    reference = reference_answers(prepared, Split.GATE, watcher.advance)
    watcher.stage(f"Gate: {candidate.recipe.name}", examples)
    answers = candidate_answers(prepared, made.artifact, Split.GATE, watcher.advance)
    trial = accuracy_trial(prepared, made.artifact, Split.GATE, answers, reference)
    verdict = judge(
        prepared.request.target.name,
        prepared.budgets,
        Findings(
            artifact=made.artifact.digest,
            latency=candidate.trial,
            accuracy=trial,
            size_bytes=candidate.size_bytes,
            predictions=candidate.predictions,
            doubts=accuracy_doubts(prepared.source, prepared.dataset, trial),
        ),
    )
    tried = tuple(c.accuracy for c in candidates if c.accuracy is not None)
    return Judged(
        made=made,
        verdict=verdict,
        predictions=candidate.predictions,
        reference=reference,
        accuracy=(trial, *tried),
        latency=tuple(c.trial for c in candidates if c.trial is not None),
    )


def _result(
    prepared: Prepared,
    candidates: tuple[Candidate, ...],
    chosen: Chosen,
    judged: Judged,
    stages: TimedStages,
) -> BuildResult:
    request, plan, dataset = prepared.request, prepared.plan, prepared.dataset
    quantile = tail_quantile(prepared.budgets)
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
        candidates=tuple(candidate_result(c, candidates, chosen, quantile) for c in candidates),
        gate=accuracy_summary(judged.accuracy[0]),
        verdict=judged.verdict,
        bundle_digest=bundle_digest(*lasting_files(prepared, judged)),
        machine=prepared.machine,
        data=DataSummary(
            name=dataset.name,
            labelled=dataset.labelled,
            splits={str(split): file.examples for split, file in dataset.splits.items()},
            notes=dataset.notes,
        ),
        stages=stages.times,
        warnings=prepared.warnings,
        accept_predicted=request.accept_predicted,
        exit_code=judged.verdict.exit_code(accept_predicted=request.accept_predicted),
    )


def _publish(
    prepared: Prepared, judged: Judged, result: BuildResult, stages: TimedStages
) -> BuildResult:
    """A bundle under a name that says what it is; of a rejected one only the report."""
    folder = destination(prepared.request, judged.verdict.word)
    if judged.verdict.outcome is Outcome.REJECTED:
        return result
    stages.stage("Publish")
    settle = None
    if judged.verdict.outcome is Outcome.UNDECIDED and prepared.evidence is not Evidence.TARGET:
        settle = f"deployopt verify {folder.name}"
    result = msgspec.structs.replace(result, bundle=str(folder), settle=settle)
    publish(prepared, judged, result, folder)
    return result


_WORDS: Final = ("accepted", "provisional", "undecided")


def destination(request: BuildRequest, word: str) -> Path:
    """Where a bundle of this verdict goes: only an accepted one gets the plain name."""
    if request.output is not None:
        plain = request.output
    else:
        model = Path(request.model).stem if "/" in request.model else request.model
        name = _UNSAFE.sub("-", model.casefold().removeprefix("hub:")).strip("-.") or "model"
        plain = Path(f"{name}-{request.target.name}")
    return plain if word == Outcome.ACCEPTED.value else plain.with_name(f"{plain.name}.{word}")


def _write_lock(prepared: Prepared) -> None:
    """A lock file that was asked for and is not there yet is made."""
    path = prepared.request.lock
    if path is not None and not path.exists():
        origins = (prepared.source.origin, prepared.dataset.origin)
        atomic_write_bytes(path, encode_lock(lock_of(origins)))
