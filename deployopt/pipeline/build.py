"""The main job: from a request to a judged and published bundle.

High level first: prepare, try the recipes, choose one, judge it on examples that had no say in the
choice, publish. A missed budget is a verdict; only what could not be done is an exception.
"""

import re
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Split
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult
from deployopt.core.stages import TimedStages
from deployopt.core.summaries import accuracy_summary
from deployopt.core.units import Dimension, show_quantity
from deployopt.core.verdict import Outcome
from deployopt.core.watching import Watcher
from deployopt.device.device import Device
from deployopt.device.reference import encode_reference
from deployopt.pipeline.bundling import Judged
from deployopt.pipeline.candidates import Candidate, Chosen
from deployopt.pipeline.card_graphs import graph_note
from deployopt.pipeline.choosing import choose
from deployopt.pipeline.comparing import (
    check_baseline,
    compare_with_baseline,
    read_baseline,
    with_baseline,
)
from deployopt.pipeline.finishing import (
    all_failed,
    check_destinations,
    destination,
    publish_judged,
    remembered,
    result_of,
    write_lock,
)
from deployopt.pipeline.judging import AccuracyDecision, judge_finalists
from deployopt.pipeline.language.build import build_language
from deployopt.pipeline.making import check_recipes
from deployopt.pipeline.planning import refuse_early
from deployopt.pipeline.preparing import Prepared, named_source, prepare
from deployopt.pipeline.searching.concluding import concluded
from deployopt.pipeline.searching.search import Searched, reserve_s, search
from deployopt.pipeline.searching.time_budget import TimeBudget
from deployopt.pipeline.sharing import share_of
from deployopt.pipeline.trying import ask_recipes, time_candidates
from deployopt.sources.modules import GivenModule, module_source
from deployopt.store.faults import storage_errors
from deployopt.store.store import Store

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
        check_destinations(request)
        store.share = share_of(request, stages.note)
        baseline = read_baseline(request.baseline)
        budget = TimeBudget(request.time_limit_s)
        if given is None:
            refuse_early(request)
        stages.stage("Model")
        source = (
            named_source(request, store)
            if given is None
            else module_source(given, name=request.model, store=store)
        )
        if source.interface.generates:
            return build_language(request, source, store, stages, device)
        if request.precision is not None:
            raise UsageError(
                f"--precision {request.precision} is for language models: of {request.model} every "
                "form is tried that its runtime has. Leave it out."
            )
        prepared = prepare(request, store, stages, source, device)
        check_baseline(prepared, baseline)
        check_recipes(prepared.recipes, prepared.source.artifact, prepared.bench)
        candidates, found = _candidates(prepared, budget, stages)
        chosen = choose(candidates, prepared.budgets)
        if not chosen.finalists:
            raise all_failed(chosen.reasons)
        decision = judge_finalists(prepared, chosen.finalists, stages)
        compared = compare_with_baseline(prepared, decision, baseline, budget.left_s, stages)
        met = decision.verdict
        decision = msgspec.structs.replace(decision, verdict=with_baseline(met, compared))
        judged = _judged(prepared, decision, candidates)
        why = _reasons(chosen, decision) | found.beaten
        result = result_of(prepared, candidates, why, judged, stages)
        result = msgspec.structs.replace(
            result,
            gate=accuracy_summary(decision.winner.trial),
            warnings=(*result.warnings, *decision.winner.trial.told),
        )
        # A search is for the budgets; what a baseline says is no miss of theirs.
        within = msgspec.structs.replace(result, verdict=met)
        searched = concluded(found.result, within, prepared)
        result = msgspec.structs.replace(result, search=searched, baseline=compared)
        result = remembered(prepared, candidates, result)
        write_lock(prepared)
        return publish_judged(prepared, judged, result, stages)


def _candidates(
    prepared: Prepared, budget: TimeBudget, stages: TimedStages
) -> tuple[tuple[Candidate, ...], Searched]:
    """The plain forms, and what a search adds to them, measured against each other.

    Raises:
        StepError: not one recipe could be run.
    """
    plain = ask_recipes(prepared, prepared.recipes, stages)
    if all(one.candidate.failure is not None for one in plain):
        raise all_failed({t.candidate.recipe.name: t.candidate.failure or "" for t in plain})
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


def _judged(
    prepared: Prepared,
    decision: AccuracyDecision,
    candidates: tuple[Candidate, ...],
) -> Judged:
    """The winner with everything that its verdict rests on."""
    gate = prepared.dataset.splits[Split.GATE].path
    tried = tuple(c.accuracy for c in candidates if c.accuracy is not None)
    return Judged(
        made=decision.winner.made,
        verdict=decision.verdict,
        predictions=decision.winner.candidate.predictions,
        foreseen=decision.winner.candidate.foreseen,
        asked={f"examples{gate.suffix}": gate},
        reference=encode_reference(decision.reference),
        quality=(*(f.trial for f in decision.asked), *tried),
        latency=tuple(c.trial for c in candidates if c.trial is not None),
        card=graph_note(
            prepared.request.target,
            decision.winner.made.artifact,
            ran=prepared.evidence is Evidence.TARGET,
        ),
    )


def _reasons(chosen: Chosen, decision: AccuracyDecision) -> dict[str, str]:
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
