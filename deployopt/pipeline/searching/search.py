"""From a prepared build and its plain forms to the recipes that are worth measuring in full.

High level first: the best form, layers back to float where it loses, shapes timed, shapes taught,
those that promise most. What an effort or a lack of training data forbids is left out, and said.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.budget import limit_of
from deployopt.core.codec import to_plain
from deployopt.core.isa import multiplies_bfloat16
from deployopt.core.metric import Kind
from deployopt.core.recipe import Recipe
from deployopt.core.search import Effort, SearchResult, TimedShape
from deployopt.core.version import VERSION
from deployopt.core.watching import Watcher
from deployopt.device.machine import describe_machine
from deployopt.pipeline.preparing import Prepared, effort_of
from deployopt.pipeline.recipes import FLOAT, FLOATS, Form
from deployopt.pipeline.searching.controlling import Controlled, control
from deployopt.pipeline.searching.journal import Began, Journal, Preferred, restored
from deployopt.pipeline.searching.lengthening import lengthened
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.searching.schooling import FINALISTS, School
from deployopt.pipeline.searching.sessions import better_session
from deployopt.pipeline.searching.shaping import TRIED, Base, shape_recipe, time_shapes
from deployopt.pipeline.searching.sizing import shrink
from deployopt.pipeline.searching.space import profiles
from deployopt.pipeline.searching.teaching import Class
from deployopt.pipeline.searching.time_budget import TimeBudget
from deployopt.pipeline.searching.timing import Timed, time_artifacts
from deployopt.pipeline.trying import Tried
from deployopt.steps.configure import Configure
from deployopt.store.keys import cache_key

_RESERVE_S: Final = 90.0
_RESERVE_SHARES: Final = (0.15, 0.4)
"""Of the time limit, the least and the most that is kept for measuring and judging in the end."""
_ARM_S: Final = 54.0
"""Of an artifact that is measured in full: the rounds of the relative test's first look."""
_LEAST_S: Final = 30.0
_FORM_ROUNDS: Final = 6
_NOISE: Final = 1.5
"""Without rounds that count, what takes this many times as long is taken to be slower."""
_BEATEN: Final = 1.15
"""A form that takes this many times as long as the best one is not measured in full."""


_NO_MATERIAL: Final = (
    "No smaller shape was looked for: the model brings no training data. Give some with "
    "--train-data, or texts without labels with --unlabelled."
)


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured beside the plain forms, and how it came about."""

    tried: tuple[Tried, ...] = ()
    """Forms with layers in float, asked the search split already."""
    recipes: tuple[Recipe, ...] = ()
    """Taught shapes."""
    result: SearchResult | None = None
    beaten: dict[str, str] = {}
    """Plain forms that are too slow to be measured in full, and why."""


def search(
    prepared: Prepared,
    plain: Sequence[Tried],
    budget: TimeBudget,
    place: Path,
    watcher: Watcher,
) -> Searched:
    """Find what is worth measuring; `plain` are the whole model's forms, asked the search split.

    `place` is the bundle's path; the log lies beside it.
    """
    if prepared.source.interface.draws:
        return Searched()
    effort = effort_of(prepared.request)
    alive = tuple(one for one in plain if one.evaluation is not None)
    base = next((one for one in alive if one.candidate.is_float), None)
    if base is None or base.candidate.made is None:
        return Searched()
    if prepared.request.target.runtime.provider != "cpu":
        controlled = control(prepared, alive, None, watcher)
        longer = lengthened(prepared, plain, watcher)
        return Searched(
            tried=(*longer, *controlled.tried), result=_quick(prepared, budget, controlled)
        )
    small = shrink(prepared, alive, watcher)
    if effort is Effort.QUICK:
        controlled = control(prepared, alive, None, watcher)
        return Searched(
            tried=(*small, *controlled.tried), result=_quick(prepared, budget, controlled)
        )
    began = _began(prepared)
    path = place.with_name(f"{place.name}.search-{began.key[:8]}.jsonl")
    journal = Journal(path, began)
    budget.spent_before_s = journal.spent_s
    run = SearchRun(
        prepared=prepared, effort=effort, journal=journal, budget=budget, watcher=watcher
    )
    controlled = control(prepared, alive, run, watcher)
    best, beaten = _best_form(run, alive, base.candidate.made.artifact)
    notes = [*controlled.notes, *_why_nothing(prepared)]
    if effort is Effort.EXTENSIVE:
        step, sentence = better_session(run, best.artifact)
        notes += [sentence] if sentence else []
        best = best if step is None else _opened(best, step)
    shapes: tuple[TimedShape, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    if prepared.material is not None and not (journal.resumed or enough_time(budget)):
        notes.append(
            f"The time limit of {budget.limit_s:.0f} s is too short to teach a shape and to judge "
            f"it: {_LEAST_S + _RESERVE_S:.0f} s at least are needed, and for all but the smallest "
            "models minutes. Only the forms of the whole model were tried."
        )
    elif prepared.material is not None:
        notes += prepared.material.notes
        shapes = time_shapes(run, profiles(_config(prepared), effort), best)
        # The float form, the best one and what stands beside it, and those that are taught.
        arms = 2 + len(small) + len(controlled.tried) + FINALISTS
        recipes = _teach(run, best, shapes, reserve_s(budget, arms))
    return Searched(
        tried=(*small, *controlled.tried),
        recipes=recipes,
        beaten=beaten,
        result=_result(run, shapes, controlled, tuple(notes)),
    )


def reserve_s(budget: TimeBudget, arms: int) -> float:
    """Seconds that measuring `arms` and judging may take, however long was searched before."""
    if budget.limit_s is None:
        return 0.0
    least, most = (share * budget.limit_s for share in _RESERVE_SHARES)
    return max(_RESERVE_S, least, min(most, _RESERVE_S / 2 + arms * _ARM_S))


def enough_time(budget: TimeBudget) -> bool:
    """Whether a shape could be taught and judged in what is left."""
    return budget.left_s > _LEAST_S + _RESERVE_S


def _best_form(
    run: SearchRun, alive: Sequence[Tried], float_artifact: Artifact
) -> tuple[Base, dict[str, str]]:
    """The fastest form that does not certainly lose too much, and those that it leaves behind."""
    forms = {form.name: form for form in run.prepared.forms}
    known = run.journal.preferred
    there = {one.candidate.recipe.name: one.candidate.made for one in alive}
    made_known = None if known is None else there.get(known.form)
    if known is not None and made_known is not None:
        # What an earlier call began with: timed anew it would move what is worth teaching.
        base = Base(
            float_artifact=float_artifact,
            form=forms[known.form],
            artifact=made_known.artifact,
            ratio=known.ratio,
        )
        return base, known.beaten
    ordered = sorted(alive, key=lambda one: not one.candidate.is_float)
    run.watcher.stage("Forms", quiet=True)
    made = [(one, one.candidate.made.artifact) for one in ordered if one.candidate.made is not None]
    artifacts = [artifact for _, artifact in made]
    found = time_artifacts(artifacts, run.prepared, run.watcher, _FORM_ROUNDS)
    timed = {
        one.candidate.recipe.name: (artifact, times)
        for (one, artifact), times in zip(made, found, strict=True)
        if times.failure is None
    }
    limit = limit_of(run.prepared.budgets, Kind.ACCURACY)
    hopeful = [
        one.candidate.recipe.name
        for one in ordered
        if one.candidate.recipe.name in timed
        and (limit is None or one.loss is None or one.loss.lower <= limit)
    ]
    name = preferred({name: timed[name][1] for name in hopeful}, run.prepared.forms)
    artifact, times = timed[name]
    base = Base(
        float_artifact=float_artifact, form=forms[name], artifact=artifact, ratio=times.ratio
    )
    beaten = _beaten(timed, name)
    entry = Preferred(form=name, ratio=times.ratio, beaten=beaten, seconds=run.budget.lap_s())
    run.journal.add(entry)
    return base, beaten


def preferred(timed: dict[str, Timed], forms: Sequence[Form]) -> str:
    """The form to go on with: in the order of preference, the first that none is proved to beat.

    Int8 is preferred to float, and the runtimes in the target's order, so that noise moves nothing.
    """
    places = {form.name: place for place, form in enumerate(forms)}
    ordered = sorted(timed, key=lambda name: (name in FLOATS, places[name]))
    found = (
        name
        for name in ordered
        if not any(_proved_faster(other, timed[name]) for other in timed.values())
    )
    return next(found, min(ordered, key=lambda name: timed[name].ratio))


def _proved_faster(one: Timed, other: Timed) -> bool:
    """Whether the bounds say so; without bounds a wide margin has to."""
    if one.upper is not None and other.lower is not None:
        return one.upper < other.lower
    return one.ratio * _NOISE < other.ratio


def _opened(base: Base, step: Configure) -> Base:
    """The form with this step behind it, for everything that is made in it from now on."""
    form = base.form
    name = f"{form.name}, opened otherwise"
    return msgspec.structs.replace(
        base, form=msgspec.structs.replace(form, name=name, steps=(*form.steps, step))
    )


def _beaten(timed: dict[str, tuple[Artifact, Timed]], best: str) -> dict[str, str]:
    least = timed[best][1].ratio
    return {
        name: f"{times.ratio / least:.2f} x as long as {best} in {times.rounds} short rounds"
        for name, (_, times) in timed.items()
        if times.ratio > _BEATEN * least and name not in {FLOAT, best}
    }


def _teach(
    run: SearchRun, base: Base, shapes: Sequence[TimedShape], kept_s: float
) -> tuple[Recipe, ...]:
    """Teach shapes, and the recipes of those that are worth most at the gate."""
    prepared = run.prepared
    labelled = prepared.material is not None and prepared.material.labelled
    able = [shape for shape in shapes if shape.verdict == TRIED]
    here = describe_machine(runtime=False)
    bfloat16 = multiplies_bfloat16(here.arch, here.isa)
    room = Class(run=run, form=base.form, labelled=labelled, bfloat16=bfloat16)
    school = School(room, able, base.ratio, kept_s)
    school.run()
    recipes = []
    for profile in school.finalists():
        rung = max(t.training.rung for t in run.journal.taught if t.training.profile == profile)
        taught = run.journal.taught_at(profile, rung)
        if taught is not None:
            steps = restored(taught.steps, run.journal.path)
            recipes.append(shape_recipe(prepared, profile, steps, base.form))
    return tuple(recipes)


def _why_nothing(prepared: Prepared) -> list[str]:
    """Why no shape is taught, where none is."""
    if prepared.material is None:
        return [_NO_MATERIAL]
    if prepared.source.artifact.format is not Format.TRANSFORMERS:
        return ["No smaller shape was looked for: an ONNX graph cannot be taught."]
    if not profiles(_config(prepared), Effort.DEFAULT):
        return ["No smaller shape was looked for: models of this family are not cut."]
    return []


def _config(prepared: Prepared) -> dict[str, object]:
    if prepared.source.artifact.format is not Format.TRANSFORMERS:
        return {}
    config: dict[str, object] = json.loads(
        (prepared.source.artifact.folder / "config.json").read_bytes()
    )
    return config


def _result(
    run: SearchRun,
    shapes: Sequence[TimedShape],
    controlled: Controlled,
    notes: tuple[str, ...],
) -> SearchResult:
    prepared, journal, material = run.prepared, run.journal, run.prepared.material
    taught = {one.training.profile for one in journal.taught}
    trainings = tuple(
        msgspec.structs.replace(
            one.training,
            promoted=journal.taught_at(one.training.profile, one.training.rung + 1) is not None,
        )
        for one in journal.taught
    )
    return SearchResult(
        effort=run.effort,
        time_limit_s=run.budget.limit_s,
        spent_s=run.budget.spent_s,
        resumed=journal.resumed,
        log=str(journal.path),
        teacher=prepared.source.name,
        train_data=material.name if material is not None and trainings else "",
        train_examples=material.examples if material is not None else 0,
        unlabelled_examples=material.unlabelled if material is not None else 0,
        shapes=tuple(
            msgspec.structs.replace(s, verdict="taught") if s.profile in taught else s
            for s in shapes
        ),
        trainings=trainings,
        layers=controlled.layers,
        notes=notes,
    )


def _quick(prepared: Prepared, budget: TimeBudget, controlled: Controlled) -> SearchResult | None:
    """What a build without a search has to tell: layers, where int8 lost too much."""
    if not controlled.layers:
        return None
    return SearchResult(
        effort=Effort.QUICK,
        time_limit_s=budget.limit_s,
        spent_s=budget.spent_s,
        log="",
        teacher=prepared.source.name,
        layers=controlled.layers,
        notes=controlled.notes,
    )


def _began(prepared: Prepared) -> Began:
    """What the search is of; calls that agree in all of it go on from one another."""
    material, machine = prepared.material, prepared.machine
    budgets = {b.metric: b.limit for b in prepared.budgets}
    key = cache_key(
        {
            "search": 1,
            "deployopt": VERSION,
            "model": prepared.source.artifact.digest,
            "data": {str(split): f.digest for split, f in prepared.dataset.splits.items()},
            "lesson": "" if material is None else material.lesson.digest,
            "target": to_plain(prepared.request.target),
            "budgets": budgets,
            "machine": [machine.arch, machine.cpu, *machine.isa],
            "seed": prepared.request.seed,
        }
    )
    return Began(
        key=key,
        made_with=f"deployopt {VERSION}",
        model=prepared.source.name,
        target=prepared.request.target.name,
        data=prepared.dataset.name,
        train_data="" if material is None else material.name,
        budgets=budgets,
    )
