"""Forms of a decoder become candidates: made, scored on the search split, timed beside each other.

A form that fails is a candidate with a failure; the others go on.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.errors import DeviceError, IntegrityError, StepError
from deployopt.core.measurement import Split
from deployopt.core.metric import Kind
from deployopt.core.quantiles import least_rounds
from deployopt.core.relative import LOOKS
from deployopt.core.samples import decode_samples
from deployopt.core.watching import Watcher
from deployopt.device.latency import Place, Schedule, measure, requests_per_round
from deployopt.device.setup import Arm, PromptPool, setup_of
from deployopt.pipeline.answering import limits_for
from deployopt.pipeline.bundling import deployed_files
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.language.cards import card_summary, on_card
from deployopt.pipeline.language.forecasting import language_predictions
from deployopt.pipeline.language.forms import Form
from deployopt.pipeline.language.leaving import leave_out
from deployopt.pipeline.language.preparing import PreparedLanguage
from deployopt.pipeline.language.scoring import candidate_scores, reference_scores, trial_of
from deployopt.pipeline.making import make
from deployopt.pipeline.schedules import PATIENCE, ROUND_S, WALL_S
from deployopt.pipeline.trying import settled

_WALLS: Final = 3
"""A round of answers takes several times as long as one of a classifier's requests."""


def ask_forms(prepared: PreparedLanguage, watcher: Watcher) -> tuple[Candidate, ...]:
    """Every form made, and scored on the search split as far as it came."""
    made = [_made(prepared, form, watcher) for form in prepared.forms]
    if all(candidate.made is None for candidate in made):
        return tuple(made)
    watcher.stage("Reference", prepared.dataset.splits[Split.SEARCH].examples)
    reference_scores(prepared, Split.SEARCH, watcher.advance, watcher.note)
    return tuple(_scored(prepared, candidate, watcher) for candidate in made)


def time_forms(
    prepared: PreparedLanguage, candidates: Sequence[Candidate], watcher: Watcher
) -> tuple[Candidate, ...]:
    """The candidates with what their answers took, in interleaved rounds; of a card's nothing."""
    if on_card(prepared.request.target):
        return tuple(candidates)
    candidates = leave_out(candidates, prepared.budgets, prepared.evidence)
    alive = [
        c for c in candidates if c.made is not None and c.scores is not None and c.untimed is None
    ]
    if not alive:
        return tuple(candidates)
    prompts = tuple(decode_samples(prepared.timed))
    arms = [
        Arm(
            setup=setup_of(
                c.made.artifact,
                prepared.request.target,
                prepared.machine,
                prepared.source.interface.outputs,
            ),
            inputs=PromptPool(
                prompts=prompts,
                expected=candidate_scores(
                    prepared, c.made.artifact, Split.SEARCH, watcher.advance
                ).answers,
            ),
        )
        for c in alive
        if c.made is not None
    ]
    watcher.stage("Answers", quiet=True)
    with prepared.bench.store.stage() as workdir:
        place = Place(device=prepared.device, evidence=prepared.evidence, workdir=workdir)
        trials = measure(
            arms, _schedule(prepared, len(arms)), place, decided=settled, progress=watcher.advance
        )
    by_recipe = {c.recipe.name: trial for c, trial in zip(alive, trials, strict=True)}
    return tuple(msgspec.structs.replace(c, trial=by_recipe.get(c.recipe.name)) for c in candidates)


def _made(prepared: PreparedLanguage, form: Form, watcher: Watcher) -> Candidate:
    recipe = form.recipe
    watcher.stage(f"Build {recipe.name}")
    try:
        made = make(recipe, prepared.source.artifact, prepared.bench, watcher.advance)
    except StepError as error:
        watcher.note(f"Recipe {recipe.name} failed: {error}")
        return Candidate(recipe=recipe, failure=str(error))
    files = deployed_files(made.artifact, prepared.source)
    predictions = language_predictions(
        prepared.request.target,
        prepared.architecture,
        form,
        prepared.budgets,
        prepared.requests,
    )
    return Candidate(
        recipe=recipe,
        made=made,
        size_bytes=sum(path.stat().st_size for path in files.values()),
        predictions=predictions,
        card=card_summary(
            prepared.request.target,
            predictions,
            prepared.requests,
            made.artifact.notes[len(prepared.source.artifact.notes) :],
        ),
    )


def _scored(prepared: PreparedLanguage, candidate: Candidate, watcher: Watcher) -> Candidate:
    if candidate.made is None:
        return candidate
    name, artifact = candidate.recipe.name, candidate.made.artifact
    watcher.stage(f"Quality {name}", prepared.dataset.splits[Split.SEARCH].examples)
    try:
        scores = trial_of(prepared, artifact, Split.SEARCH, watcher.advance)
    except (DeviceError, IntegrityError, StepError) as error:
        watcher.note(f"Candidate {name} failed: {error}")
        return msgspec.structs.replace(candidate, failure=str(error))
    return msgspec.structs.replace(candidate, scores=scores, accuracy=choice_accuracy(scores))


def _schedule(prepared: PreparedLanguage, arms: int) -> Schedule:
    looks = tuple(look.rounds for look in LOOKS) if arms > 1 else (least_rounds(),)
    asked = [
        b.definition.quantile
        for b in prepared.budgets
        if b.definition.kind is Kind.FIRST_TOKEN and b.definition.quantile is not None
    ]
    wall_s = _WALLS * WALL_S[prepared.evidence]
    return Schedule(
        looks=looks,
        requests=requests_per_round(asked, looks[0]),
        min_round_s=ROUND_S[prepared.evidence],
        wall_s=wall_s,
        first_look_s=PATIENCE * wall_s,
        seed=prepared.request.seed,
        limits=limits_for(prepared),
        answering=prepared.answering,
    )
