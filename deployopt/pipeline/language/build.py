"""A language model's build: made in several forms, scored, timed, judged, published.

The same order and the same gate as for classifiers (pipeline/build.py); what is asked of a model is
how likely it takes held-out texts to be, and how fast it answers.
"""

from collections.abc import Mapping

import msgspec

from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.language_summaries import score_summary
from deployopt.core.request import BuildRequest
from deployopt.core.result import BuildResult
from deployopt.core.source import SourceModel
from deployopt.core.stages import TimedStages
from deployopt.core.summaries import accuracy_summary
from deployopt.device.device import Device
from deployopt.pipeline.bundling import Judged
from deployopt.pipeline.candidates import Candidate, Chosen
from deployopt.pipeline.choosing import choose
from deployopt.pipeline.comparing import read_baseline, with_baseline
from deployopt.pipeline.finishing import (
    all_failed,
    publish_judged,
    remembered,
    result_of,
    write_lock,
)
from deployopt.pipeline.language.cards import card_note
from deployopt.pipeline.language.comparing import (
    check_language_baseline,
    compare_language_with_baseline,
)
from deployopt.pipeline.language.judging import (
    REFERENCE,
    ScoreDecision,
    gate_files,
    judge_language,
)
from deployopt.pipeline.language.options import require_asked_rightly
from deployopt.pipeline.language.ordering import likelier_first
from deployopt.pipeline.language.preparing import PreparedLanguage, prepare_language
from deployopt.pipeline.language.sweeping import summaries_of, swept
from deployopt.pipeline.language.trying import ask_forms, time_forms
from deployopt.pipeline.making import check_recipes
from deployopt.store.store import Store


def build_language(
    request: BuildRequest,
    source: SourceModel,
    store: Store,
    stages: TimedStages,
    device: Device | None,
) -> BuildResult:
    """Do it; raises DeployoptError of any kind, a missed budget excepted."""
    require_asked_rightly(request)
    baseline = read_baseline(request.baseline)
    prepared = prepare_language(request, source, store, stages, device)
    check_language_baseline(prepared, baseline)
    check_recipes(prepared.recipes, source.artifact, prepared.bench)
    asked = ask_forms(prepared, stages)
    if all(candidate.failure is not None for candidate in asked):
        raise all_failed({c.recipe.name: c.failure or "" for c in asked})
    candidates = time_forms(prepared, asked, stages)
    chosen = choose(candidates, prepared.budgets)
    if not chosen.finalists:
        raise all_failed(chosen.reasons)
    finalists, words = likelier_first(chosen.finalists)
    chosen = msgspec.structs.replace(chosen, finalists=finalists, reasons=chosen.reasons | words)
    decision = judge_language(prepared, finalists, stages)
    compared = compare_language_with_baseline(prepared, decision, baseline, stages)
    verdict = with_baseline(decision.verdict, compared)
    decision = msgspec.structs.replace(decision, verdict=verdict)
    winner = decision.winner.candidate
    settings = swept(prepared, winner, stages)
    judged = msgspec.structs.replace(_judged(prepared, decision, candidates), settings=settings)
    result = result_of(prepared, candidates, _reasons(chosen, decision), judged, stages)
    chosen_accuracy = choice_accuracy(decision.winner.trial)
    result = msgspec.structs.replace(
        result,
        gate=None if chosen_accuracy is None else accuracy_summary(chosen_accuracy),
        gate_scores=score_summary(decision.winner.trial),
        settings=summaries_of(prepared, winner, settings),
        baseline=compared,
    )
    result = remembered(prepared, candidates, result)
    write_lock(prepared)
    return publish_judged(prepared, judged, result, stages)


def _judged(
    prepared: PreparedLanguage,
    decision: ScoreDecision,
    candidates: tuple[Candidate, ...],
) -> Judged:
    """The winner with everything that its verdict rests on."""
    tried = tuple(c.scores for c in candidates if c.scores is not None)
    return Judged(
        made=decision.winner.made,
        verdict=decision.verdict,
        predictions=decision.winner.candidate.predictions,
        foreseen=None,
        asked=gate_files(prepared),
        reference=(decision.reference.folder / REFERENCE).read_bytes(),
        quality=(*(f.trial for f in decision.asked), *tried),
        latency=tuple(c.trial for c in candidates if c.trial is not None),
        card=card_note(prepared.request.target),
    )


def _reasons(chosen: Chosen, decision: ScoreDecision) -> Mapping[str, str]:
    """Why each was chosen or not; what the gate turned down says so."""
    reasons = dict(chosen.reasons)
    for finalist in decision.asked:
        if finalist is not decision.winner:
            name = finalist.candidate.recipe.name
            said = "asked at the gate, and another was taken"
            reasons[name] = f"{reasons.get(name, '')}; {said}".lstrip("; ")
    for name, why in decision.crashed.items():
        reasons[name] = f"{reasons.get(name, '')}; failed at the gate: {why}".lstrip("; ")
    return reasons
