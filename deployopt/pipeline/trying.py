"""Recipes become candidates: made, asked the search split, timed against each other.

A recipe that fails is a candidate with a failure; the others go on. The timing is interleaved, in
fresh processes, and looks at the data only when the relative test may.
"""

from collections.abc import Sequence

import msgspec

from deployopt.core.artifact import Artifact
from deployopt.core.errors import DeviceError, StepError
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import AccuracyTrial, Split, Trial
from deployopt.core.metric import Kind
from deployopt.core.plan import Facts
from deployopt.core.quantiles import least_rounds
from deployopt.core.recipe import Recipe
from deployopt.core.relative import LOOKS
from deployopt.core.standing import Standing
from deployopt.core.summaries import compare_trials
from deployopt.core.watching import Watcher
from deployopt.device.accuracy import Evaluation, Judged, compare_with_reference, timing_inputs
from deployopt.device.latency import Place, Schedule, measure, requests_per_round
from deployopt.device.machine import exact_for
from deployopt.device.reference import Reference
from deployopt.device.setup import Arm
from deployopt.pipeline.answering import (
    candidate_answers,
    candidate_setup,
    evaluation_set,
    limits_for,
    reference_answers,
)
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.facts import graph_facts
from deployopt.pipeline.forecasting import foreseen, predictions
from deployopt.pipeline.making import make
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.schedules import ROUND_S, WALL_S


def try_recipes(prepared: Prepared, watcher: Watcher) -> tuple[Candidate, ...]:
    """Every recipe made, and judged on the search split as far as it came.

    Raises:
        StepError: not one recipe could be run.
    """
    made = [_make(recipe, prepared, watcher) for recipe in prepared.recipes]
    if all(c.failure is not None for c in made):
        raise StepError(made[0].failure or "No recipe could be run.")
    facts = _facts(prepared, made)
    sized = [_sized(c, prepared, facts) for c in made]
    watcher.stage("Reference", prepared.dataset.splits[Split.SEARCH].examples)
    reference = reference_answers(prepared, Split.SEARCH, watcher.advance)
    asked = [_ask(c, prepared, reference, watcher) for c in sized]
    return _time([c for c, _ in asked], [e for _, e in asked], prepared, watcher)


def accuracy_trial(
    prepared: Prepared,
    artifact: Artifact,
    split: Split,
    evaluation: Evaluation,
    reference: Reference,
) -> AccuracyTrial:
    """The artifact's answers to the split, paired with the reference's."""
    judged = Judged(
        artifact=artifact.digest,
        split=split,
        evidence=prepared.evidence,
        interface=prepared.source.interface,
        labels=decode_examples(prepared.dataset.splits[split].path).labels
        if prepared.dataset.labelled
        else None,
        exact_arithmetic=exact_for(
            prepared.request.target,
            prepared.machine,
            artifact.precision,
            reduced_range=prepared.reduced_range,
        ),
        synthetic=prepared.dataset.synthetic,
    )
    return compare_with_reference(judged, reference, evaluation)


def _make(recipe: Recipe, prepared: Prepared, watcher: Watcher) -> Candidate:
    watcher.stage(f"Build {recipe.name}")
    try:
        made = make(recipe, prepared.source.artifact, prepared.bench, watcher.advance)
    except StepError as error:
        watcher.note(f"Recipe {recipe.name} failed: {error}")
        return Candidate(recipe=recipe, failure=str(error))
    return Candidate(recipe=recipe, made=made)


def _facts(prepared: Prepared, made: Sequence[Candidate]) -> Facts | None:
    """As planned; a family that no closed form is known of is counted on its float graph."""
    if prepared.facts is not None:
        return prepared.facts
    first = next((c.made for c in made if c.made is not None and c.is_float), None)
    if first is None:
        return None
    return graph_facts(first.artifact, prepared.request.target.workload, prepared.shapes)


def _sized(candidate: Candidate, prepared: Prepared, facts: Facts | None) -> Candidate:
    if candidate.made is None:
        return candidate
    artifact = candidate.made.artifact
    target, precision, budgets = prepared.request.target, artifact.precision, prepared.budgets
    return msgspec.structs.replace(
        candidate,
        size_bytes=deployed_bytes(artifact, prepared),
        predictions=predictions(target, facts, precision, budgets, prepared.experiences),
        foreseen=foreseen(target, facts, precision, budgets, prepared.source.artifact.digest),
    )


def deployed_bytes(artifact: Artifact, prepared: Prepared) -> int:
    """The model's files and, for text, its tokenizer."""
    from deployopt.pipeline.bundling import deployed_files

    return sum(path.stat().st_size for path in deployed_files(artifact, prepared.source).values())


def _ask(
    candidate: Candidate, prepared: Prepared, reference: Reference, watcher: Watcher
) -> tuple[Candidate, Evaluation | None]:
    if candidate.made is None:
        return candidate, None
    artifact = candidate.made.artifact
    watcher.stage(
        f"Accuracy {candidate.recipe.name}", prepared.dataset.splits[Split.SEARCH].examples
    )
    try:
        found = candidate_answers(prepared, artifact, Split.SEARCH, watcher.advance)
    except DeviceError as error:
        watcher.note(f"Candidate {candidate.recipe.name} failed: {error}")
        return msgspec.structs.replace(candidate, failure=str(error)), None
    trial = accuracy_trial(prepared, artifact, Split.SEARCH, found, reference)
    return msgspec.structs.replace(candidate, accuracy=trial), found


def _time(
    candidates: Sequence[Candidate],
    evaluations: Sequence[Evaluation | None],
    prepared: Prepared,
    watcher: Watcher,
) -> tuple[Candidate, ...]:
    """All that answered, interleaved; the float one is the first arm."""
    alive = [
        (candidate, candidate.made.artifact, evaluation)
        for candidate, evaluation in zip(candidates, evaluations, strict=True)
        if candidate.made is not None and evaluation is not None
    ]
    data = evaluation_set(prepared, Split.SEARCH)
    arms = [
        Arm(
            setup=candidate_setup(prepared, artifact),
            inputs=timing_inputs(data, evaluation, seed=prepared.request.seed),
        )
        for _, artifact, evaluation in alive
    ]
    if not arms:
        return tuple(candidates)
    watcher.stage("Latency", quiet=True)
    with prepared.bench.store.stage() as workdir:
        place = Place(machine=prepared.machine, evidence=prepared.evidence, workdir=workdir)
        trials = measure(
            arms, _schedule(prepared, len(arms)), place, decided=_settled, progress=watcher.advance
        )
    by_recipe = {c.recipe.name: t for (c, _, _), t in zip(alive, trials, strict=True)}
    return tuple(msgspec.structs.replace(c, trial=by_recipe.get(c.recipe.name)) for c in candidates)


def _schedule(prepared: Prepared, arms: int) -> Schedule:
    """Enough requests for every quantile that is judged, and the looks of the relative test."""
    looks = tuple(look.rounds for look in LOOKS) if arms > 1 else (least_rounds(),)
    asked = [
        b.definition.quantile
        for b in prepared.budgets
        if b.definition.kind is Kind.LATENCY and b.definition.quantile is not None
    ]
    return Schedule(
        looks=looks,
        requests=requests_per_round(asked, looks[0]),
        min_round_s=ROUND_S[prepared.evidence],
        wall_s=WALL_S[prepared.evidence],
        batch=prepared.request.target.workload.batch,
        seed=prepared.request.seed,
        limits=limits_for(prepared),
    )


def _settled(trials: tuple[Trial, ...]) -> bool:
    """Whether every comparison with the first arm is settled, or can be no more."""
    base = trials[0]
    return all(
        trial.failure is not None
        or base.failure is not None
        or compare_trials(trial, base).standing is not Standing.UNSETTLED
        for trial in trials[1:]
    )
