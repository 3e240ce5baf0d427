"""The main job: from a request to a judged and published bundle.

High level first: prepare, try the recipes, choose one, judge it on examples that had no say in the
choice, publish. A missed budget is a verdict; only what could not be done is an exception.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import StepError
from deployopt.core.evidence import Evidence
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult, DataSummary, PlanSummary
from deployopt.core.stages import TimedStages
from deployopt.core.summaries import accuracy_summary, tail_quantile
from deployopt.core.units import Dimension, show_quantity
from deployopt.core.verdict import Outcome
from deployopt.core.watching import Watcher
from deployopt.device.device import Device, address_of
from deployopt.pipeline.bundling import Judged, bundle_digest, bundle_page, lasting_files, publish
from deployopt.pipeline.candidates import Candidate, Chosen, candidate_result
from deployopt.pipeline.choosing import choose
from deployopt.pipeline.comparing import (
    check_baseline,
    compare_with_baseline,
    read_baseline,
    with_baseline,
)
from deployopt.pipeline.judging import Decision, judge_finalists
from deployopt.pipeline.making import check_recipes
from deployopt.pipeline.preparing import Prepared, prepare
from deployopt.pipeline.remembering import remember
from deployopt.pipeline.searching.concluding import concluded
from deployopt.pipeline.searching.search import Searched, reserve_s, search
from deployopt.pipeline.searching.time_budget import TimeBudget
from deployopt.pipeline.trying import ask_recipes, time_candidates
from deployopt.sources.locking import encode_lock, lock_of
from deployopt.sources.modules import GivenModule, module_source
from deployopt.store.faults import storage_errors
from deployopt.store.publishing import check_destination
from deployopt.store.store import Store
from deployopt.store.writing import atomic_write_bytes

_LEAST_S: Final = 30.0
_GATE_S: Final = 45.0
"""Of a time limit, what is left for the gate when candidates are measured, and the least of it."""
_UNSAFE: Final = re.compile(r"[^a-z0-9._-]+")


def run_build(
    request: BuildRequest,
    watcher: Watcher,
    given: GivenModule | None = None,
    device: Device | None = None,
) -> BuildResult:
    """Do it; raises DeployoptError of any kind, a missed budget excepted.

    `given` is a module from Python, in place of the request's model name. `device` measures; None
    is this machine.
    """
    stages = TimedStages(watcher)
    with Store(request.store) as store, storage_errors("building", store.layout.root):
        for word in _WORDS:
            check_destination(destination(request, word))
        baseline = read_baseline(request.baseline)
        source = None if given is None else module_source(given, name=request.model, store=store)
        budget = TimeBudget(request.time_limit_s)
        prepared = prepare(request, store, stages, source, device)
        check_baseline(prepared, baseline)
        check_recipes(prepared.recipes, prepared.source.artifact, prepared.bench)
        candidates, found = _candidates(prepared, budget, stages)
        chosen = choose(candidates, prepared.budgets)
        if not chosen.finalists:
            raise _all_failed(chosen.reasons)
        decision = judge_finalists(prepared, chosen.finalists, stages)
        compared = compare_with_baseline(prepared, decision, baseline, budget.left_s, stages)
        met = decision.verdict
        decision = msgspec.structs.replace(decision, verdict=with_baseline(met, compared))
        judged = _judged(decision, candidates)
        why = _reasons(chosen, decision) | found.beaten
        result = _result(prepared, candidates, why, judged, stages)
        # A search is for the budgets; what a baseline says is no miss of theirs.
        within = msgspec.structs.replace(result, verdict=met)
        searched = concluded(found.result, within, prepared)
        result = msgspec.structs.replace(result, search=searched, baseline=compared)
        result = _remembered(prepared, candidates, result)
        _write_lock(prepared)
        return _publish(prepared, judged, result, stages)


def _candidates(
    prepared: Prepared, budget: TimeBudget, stages: TimedStages
) -> tuple[tuple[Candidate, ...], Searched]:
    """The plain forms, and what a search adds to them, measured against each other.

    Raises:
        StepError: not one recipe could be run.
    """
    plain = ask_recipes(prepared, prepared.recipes, stages)
    if all(one.candidate.failure is not None for one in plain):
        raise _all_failed({t.candidate.recipe.name: t.candidate.failure or "" for t in plain})
    place = destination(prepared.request, Outcome.ACCEPTED.value)
    found = search(prepared, plain, budget, place, stages)
    taught = ask_recipes(prepared, found.recipes, stages)
    tried = (*plain, *found.tried, *taught)
    measured = [one for one in tried if one.candidate.recipe.name not in found.beaten]
    # What an earlier call has spent leaves this one its time to measure.
    wall_s = max(_LEAST_S, max(budget.left_s, reserve_s(budget, len(measured))) - _GATE_S)
    timed = {c.recipe.name: c for c in time_candidates(measured, prepared, stages, wall_s=wall_s)}
    names = [one.candidate.recipe.name for one in tried]
    candidates = {one.candidate.recipe.name: one.candidate for one in tried} | timed
    return tuple(candidates[name] for name in names), found


def _all_failed(reasons: Mapping[str, str]) -> StepError:
    """What to say where nothing is left to judge; a reason that all share is said once."""
    shared = set(reasons.values())
    if len(shared) == 1:
        return StepError(f"Every candidate failed: {shared.pop().removeprefix('failed: ')}")
    said = (f"{name}: {why.removeprefix('failed: ').rstrip('.')}." for name, why in reasons.items())
    return StepError(f"Every candidate failed. {' '.join(said)}")


def _judged(decision: Decision, candidates: tuple[Candidate, ...]) -> Judged:
    """The winner with everything that its verdict rests on."""
    tried = tuple(c.accuracy for c in candidates if c.accuracy is not None)
    return Judged(
        made=decision.winner.made,
        verdict=decision.verdict,
        predictions=decision.winner.candidate.predictions,
        foreseen=decision.winner.candidate.foreseen,
        reference=decision.reference,
        gate=decision.winner.trial,
        accuracy=(*(f.trial for f in decision.asked), *tried),
        latency=tuple(c.trial for c in candidates if c.trial is not None),
    )


def _reasons(chosen: Chosen, decision: Decision) -> dict[str, str]:
    """Why each was chosen or not; what the gate turned down says so."""
    reasons = dict(chosen.reasons)
    for finalist in decision.asked:
        if finalist is decision.winner:
            continue
        loss = accuracy_summary(finalist.trial).loss
        shown = "" if loss.upper is None else show_quantity(loss.upper, Dimension.SHARE)
        name = finalist.candidate.recipe.name
        reasons[name] = f"{reasons.get(name, '')}; at the gate its loss may be {shown}".lstrip("; ")
    for name, why in decision.crashed.items():
        reasons[name] = f"{reasons.get(name, '')}; failed at the gate: {why}".lstrip("; ")
    return reasons


def _result(
    prepared: Prepared,
    candidates: tuple[Candidate, ...],
    reasons: dict[str, str],
    judged: Judged,
    stages: TimedStages,
) -> BuildResult:
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
        gate=accuracy_summary(judged.gate),
        verdict=judged.verdict,
        bundle_digest=bundle_digest(*lasting_files(prepared, judged)),
        machine=prepared.machine,
        device=address_of(prepared.device),
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


def _remembered(
    prepared: Prepared, candidates: tuple[Candidate, ...], result: BuildResult
) -> BuildResult:
    """What was measured on the target is kept; a store that is full is a warning."""
    reason = remember(prepared, candidates)
    if reason is None:
        return result
    return msgspec.structs.replace(result, warnings=(*result.warnings, reason))


def _publish(
    prepared: Prepared, judged: Judged, result: BuildResult, stages: TimedStages
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
