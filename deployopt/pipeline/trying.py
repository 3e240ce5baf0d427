"""Recipes become candidates: made, asked the search split, timed against each other.

A recipe that fails is a candidate with a failure; the others go on. The timing is interleaved, in
fresh processes, and looks at the data only when the relative test may.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.accuracy_loss import accuracy_bounds
from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.card import STAND_IN, CardSummary
from deployopt.core.errors import DeviceError, IntegrityError, StepError
from deployopt.core.examples import decode_examples
from deployopt.core.measurement import AccuracyTrial, Split, Trial
from deployopt.core.metric import Kind
from deployopt.core.paired import LossBounds
from deployopt.core.plan import Facts
from deployopt.core.quantiles import least_rounds
from deployopt.core.recipe import Recipe
from deployopt.core.relative import LOOKS
from deployopt.core.standing import Standing
from deployopt.core.summaries import compare_trials
from deployopt.core.watching import Watcher
from deployopt.device.accuracy import (
    Evaluation,
    Judged,
    annotations,
    compare_with_reference,
    timing_inputs,
)
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
from deployopt.pipeline.candidates import Candidate, notes_for_card
from deployopt.pipeline.card_graphs import GRAPH_FORMS, graph_summary
from deployopt.pipeline.facts import graph_facts, source_facts
from deployopt.pipeline.forecasting import foreseen, predictions
from deployopt.pipeline.making import Made, make
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.runtimes import built_apart
from deployopt.pipeline.schedules import PATIENCE, ROUND_S, WALL_S


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate with its answers to the search split; None where it could not be asked."""

    candidate: Candidate
    evaluation: Evaluation | None = None

    @property
    def loss(self) -> LossBounds | None:
        """Of accuracy on the search split."""
        trial = self.candidate.accuracy
        return None if trial is None else accuracy_bounds(trial)


def ask_recipes(
    prepared: Prepared, recipes: Sequence[Recipe], watcher: Watcher
) -> tuple[Tried, ...]:
    """Every recipe made, and judged on the search split as far as it came."""
    sized = [_sized(_make(recipe, prepared, watcher), prepared) for recipe in recipes]
    if all(candidate.made is None for candidate in sized):
        return tuple(Tried(candidate=candidate) for candidate in sized)
    watcher.stage("Reference", prepared.dataset.splits[Split.SEARCH].examples)
    reference = reference_answers(prepared, Split.SEARCH, watcher.advance, watcher.note)
    return tuple(_ask(candidate, prepared, reference, watcher) for candidate in sized)


_OF_ENGINE: Final = (
    "the engine's graph, in ONNX Runtime on this machine's CPU: the engine itself has not run"
)
_ROUNDED: Final = (
    "a float32 graph that rounds as the card does, in ONNX Runtime on this machine's CPU: it has "
    "not run on a card"
)
_ARMS: Final = 3
"""So many share the usual time for rounds; more get more of it."""


def accuracy_trial(
    prepared: Prepared,
    artifact: Artifact,
    split: Split,
    evaluation: Evaluation,
    reference: Reference,
) -> AccuracyTrial:
    """The artifact's answers to the split, paired with the reference's."""
    apart = built_apart(prepared.request.target, prepared.machine)
    judged = Judged(
        artifact=artifact.digest,
        split=split,
        evidence=prepared.evidence,
        interface=prepared.source.interface,
        labels=decode_examples(prepared.dataset.splits[split].path).labels
        if prepared.dataset.labelled
        else None,
        truth=annotations(prepared.source.interface, prepared.dataset.splits[split].path),
        # In a card's place, pairs are worked out in float, which is the same anywhere.
        exact_arithmetic=apart
        or exact_for(
            prepared.request.target,
            prepared.machine,
            artifact.precision,
            reduced_range=prepared.reduced_range,
        ),
        synthetic=prepared.dataset.synthetic,
        stand_in=stand_in_for(artifact) if apart else None,
    )
    return compare_with_reference(judged, reference, evaluation)


def stand_in_for(artifact: Artifact) -> str:
    """What answers in the place of what only a card can open."""
    if artifact.precision in {Precision.BF16, Precision.TF32}:
        return _ROUNDED
    return _OF_ENGINE if artifact.format is Format.ENGINE else STAND_IN


def _make(recipe: Recipe, prepared: Prepared, watcher: Watcher) -> Candidate:
    watcher.stage(f"Build {recipe.name}")
    try:
        made = make(recipe, prepared.source.artifact, prepared.bench, watcher.advance)
    except StepError as error:
        watcher.note(f"Recipe {recipe.name} failed: {error}")
        return Candidate(recipe=recipe, failure=str(error))
    return Candidate(recipe=recipe, made=made)


def _sized(candidate: Candidate, prepared: Prepared) -> Candidate:
    if candidate.made is None:
        return candidate
    artifact, facts = candidate.made.artifact, made_facts(prepared, candidate.made)
    target, precision, budgets = prepared.request.target, artifact.precision, prepared.budgets
    return msgspec.structs.replace(
        candidate,
        size_bytes=deployed_bytes(artifact, prepared),
        predictions=predictions(target, facts, precision, budgets, prepared.experiences),
        foreseen=foreseen(target, facts, precision, budgets, prepared.source.artifact.digest),
        card=_card(prepared, candidate.made),
    )


def _card(prepared: Prepared, made: Made) -> CardSummary | None:
    """Of a graph that only a card opens, which is not here."""
    target = prepared.request.target
    if made.artifact.format not in GRAPH_FORMS or not built_apart(target, prepared.machine):
        return None
    return graph_summary(target, notes_for_card(made))


def made_facts(prepared: Prepared, made: Made) -> Facts | None:
    """What the made model costs: as planned, or its own config's where that was changed.

    A family that no closed form is known of is counted on its float graph.
    """
    cut = made.last_of(Format.TRANSFORMERS)
    workload = prepared.request.target.workload
    found = prepared.facts
    if cut is not None:
        there = msgspec.structs.replace(prepared.source, artifact=cut)
        found = source_facts(there, workload, prepared.shapes)
    if found is not None:
        return found
    graphs = [a for a in made.between if a.format is Format.ONNX and a.precision is Precision.FP32]
    return graph_facts(graphs[-1], workload, prepared.shapes) if graphs else None


def deployed_bytes(artifact: Artifact, prepared: Prepared) -> int:
    """The model's files and, for text, its tokenizer."""
    from deployopt.pipeline.bundling import deployed_files

    return sum(path.stat().st_size for path in deployed_files(artifact, prepared.source).values())


def _ask(candidate: Candidate, prepared: Prepared, reference: Reference, watcher: Watcher) -> Tried:
    if candidate.made is None:
        return Tried(candidate=candidate)
    artifact = candidate.made.artifact
    watcher.stage(
        f"Accuracy {candidate.recipe.name}", prepared.dataset.splits[Split.SEARCH].examples
    )
    try:
        found = candidate_answers(prepared, artifact, Split.SEARCH, watcher.advance)
    except (DeviceError, IntegrityError) as error:
        # A file that the runtime cannot open is this candidate's fault: its bytes were compared.
        watcher.note(f"Candidate {candidate.recipe.name} failed: {error}")
        return Tried(candidate=msgspec.structs.replace(candidate, failure=str(error)))
    trial = accuracy_trial(prepared, artifact, Split.SEARCH, found, reference)
    return Tried(candidate=msgspec.structs.replace(candidate, accuracy=trial), evaluation=found)


def time_candidates(
    tried: Sequence[Tried], prepared: Prepared, watcher: Watcher, *, wall_s: float
) -> tuple[Candidate, ...]:
    """All that answered, interleaved, for `wall_s` at most; the float one is the first arm."""
    candidates = [one.candidate for one in tried]
    alive = [
        (one.candidate, one.candidate.made.artifact, one.evaluation)
        for one in tried
        if one.candidate.made is not None
        and one.evaluation is not None
        # What a graph takes on a CPU says nothing of what it takes on a card.
        and not one.candidate.is_apart
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
        place = Place(device=prepared.device, evidence=prepared.evidence, workdir=workdir)
        trials = measure(
            arms,
            _schedule(prepared, len(arms), wall_s),
            place,
            decided=settled,
            progress=watcher.advance,
        )
    by_recipe = {c.recipe.name: t for (c, _, _), t in zip(alive, trials, strict=True)}
    return tuple(msgspec.structs.replace(c, trial=by_recipe.get(c.recipe.name)) for c in candidates)


def _schedule(prepared: Prepared, arms: int, wall_s: float) -> Schedule:
    """Enough requests for every quantile that is judged, and the looks of the relative test."""
    looks = tuple(look.rounds for look in LOOKS) if arms > 1 else (least_rounds(),)
    asked = [
        b.definition.quantile
        for b in prepared.budgets
        if b.definition.kind is Kind.LATENCY and b.definition.quantile is not None
    ]
    usual_s = WALL_S[prepared.evidence] * max(1.0, arms / _ARMS)
    return Schedule(
        looks=looks,
        requests=requests_per_round(asked, looks[0]),
        min_round_s=ROUND_S[prepared.evidence],
        wall_s=min(wall_s, usual_s),
        first_look_s=min(wall_s, PATIENCE * usual_s),
        batch=prepared.request.target.workload.batch,
        arrivals_per_s=prepared.request.target.workload.requests_per_s,
        seed=prepared.request.seed,
        limits=limits_for(prepared),
    )


def settled(trials: tuple[Trial, ...]) -> bool:
    """Whether every comparison with the first arm is settled, or can be no more."""
    base = trials[0]
    return all(
        trial.failure is not None
        or base.failure is not None
        or compare_trials(trial, base).standing is not Standing.UNSETTLED
        for trial in trials[1:]
    )
