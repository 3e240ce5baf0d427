"""Shapes are cut, exported and timed before anything is taught: latency does not need weights.

In: profiles, the form that is fastest. Out: timed shapes, each with what became of it. On the
target itself a shape over the latency budget is left out; elsewhere one whose prediction is.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.evidence import Evidence
from deployopt.core.metric import Kind
from deployopt.core.plan import Facts
from deployopt.core.recipe import Recipe, Step
from deployopt.core.search import Profile, TimedShape
from deployopt.core.units import Dimension, show_quantity
from deployopt.pipeline.forecasting import predictions
from deployopt.pipeline.making import Made, make
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.recipes import Form, float_steps
from deployopt.pipeline.searching.journal import Shaped
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.searching.timing import ROUNDS, Timed, time_artifacts
from deployopt.pipeline.trying import made_facts
from deployopt.steps.prune import Prune

TRIED: Final = "can be taught"
_GAIN: Final = 0.97
"""A shape has to take at most this much of the best whole form's time to be worth teaching."""
_SHARE: Final = 0.25
"""Of the time limit: more is not spent on making shapes."""
_WIDE: Final = 1.3
"""A shape whose bounds are this far apart, or that has none, is timed once more, for longer."""
_GROUP: Final = 6
"""So many shapes are timed in one go, beside the float and the best whole artifact."""


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What shapes are held against: the float artifact, and the best form of the whole model."""

    float_artifact: Artifact
    form: Form
    artifact: Artifact
    ratio: float
    """The best form's time over the float one's."""


def cut_step(profile: Profile, importance: str) -> Prune:
    """The step that makes a profile of a model."""
    return msgspec.convert(msgspec.structs.asdict(profile) | {"importance": importance}, Prune)


def shape_recipe(
    prepared: Prepared, profile: Profile, taught: tuple[Step, ...], form: Form
) -> Recipe:
    """From the model as it came to the form of a cut, taught shape."""
    target = prepared.request.target
    return Recipe(
        name=f"{profile.words}, {form.name}",
        steps=(*taught, *float_steps(Format.TRANSFORMERS, target), *form.steps),
        reason="smaller, taught by the whole model",
    )


def time_shapes(run: SearchRun, profiles: Sequence[Profile], base: Base) -> tuple[TimedShape, ...]:
    """The shapes with their times; those of the log are not timed again."""
    journal, budget = run.journal, run.budget
    known = {s.profile: s for s in journal.shapes if s.form == base.form.name}
    missing = [profile for profile in profiles if profile not in known]
    run.watcher.stage("Shapes", len(missing))
    most_s = _SHARE * (budget.limit_s or float("inf"))
    began, made = budget.spent_s, []
    for done, profile in enumerate(_spread(missing)):
        if budget.spent_s - began > most_s or budget.left_s <= 0:
            run.watcher.note(
                f"{len(missing) - done} shapes were not timed, to leave time for teaching. Give "
                "more with --time-limit."
            )
            break
        run.watcher.advance(done / len(missing), f"cutting {profile.words}")
        one = _make(run, profile, base.form)
        if one is not None:
            made.append((profile, one))
    known |= _timed(run, made, base)
    noisy = [(profile, one) for profile, one in made if profile in known and _noisy(known[profile])]
    if noisy and budget.spent_s - began <= most_s and budget.left_s > 0:
        known |= _timed(run, noisy, base, 2 * ROUNDS)
    return tuple(known[profile] for profile in profiles if profile in known)


def _timed(
    run: SearchRun, made: Sequence[tuple[Profile, Made]], base: Base, rounds: int = ROUNDS
) -> dict[Profile, TimedShape]:
    found = {}
    for at in range(0, len(made), _GROUP):
        for shape in _time_group(run, made[at : at + _GROUP], base, rounds):
            run.journal.add(Shaped(shape=shape, seconds=run.budget.lap_s()))
            found[shape.profile] = shape
    return found


def _noisy(shape: TimedShape) -> bool:
    """Whether its order among the others is a matter of chance."""
    if shape.lower is None or shape.upper is None:
        return True
    return shape.upper > _WIDE * shape.lower


def judged(shape: TimedShape, best_ratio: float, latency_limit: float | None) -> str:
    """What becomes of a shape: `TRIED`, or why it is not taught."""
    least = shape.ratio if shape.lower is None else min(shape.ratio, shape.lower)
    if least > _GAIN * best_ratio:
        return "no faster than the whole model"
    if latency_limit is None:
        return TRIED
    shown = show_quantity(latency_limit, Dimension.TIME)
    if shape.evidence is Evidence.TARGET:
        return TRIED if shape.tail_s <= latency_limit else f"over the latency budget of {shown}"
    if shape.predicted_s is not None and shape.predicted_s > latency_limit:
        return f"predicted to be over the latency budget of {shown}"
    return TRIED


def latency_limit(prepared: Prepared) -> float | None:
    """The latency budget in seconds, of the highest quantile."""
    asked = [b for b in prepared.budgets if b.definition.kind is Kind.LATENCY]
    return max(asked, key=lambda b: b.definition.quantile or 0.0).limit if asked else None


def _spread(profiles: Sequence[Profile]) -> list[Profile]:
    """Every third, then the others: where time is short, what is there is spread out."""
    return [profile for start in (1, 0, 2) for profile in profiles[start::3]]


def _make(run: SearchRun, profile: Profile, form: Form) -> Made | None:
    prepared = run.prepared
    recipe = shape_recipe(prepared, profile, (cut_step(profile, "magnitude"),), form)
    try:
        return make(recipe, prepared.source.artifact, prepared.bench, lambda *_: None)
    except StepError as error:
        run.watcher.note(f"The shape {profile.words} cannot be made: {error}")
        return None


def _time_group(
    run: SearchRun, made: Sequence[tuple[Profile, Made]], base: Base, rounds: int
) -> list[TimedShape]:
    artifacts = [base.float_artifact, *(one.artifact for _, one in made)]
    found = time_artifacts(artifacts, run.prepared, run.watcher, rounds)[1:]
    shapes = []
    for (profile, one), timed in zip(made, found, strict=True):
        if timed.failure is None:
            shapes.append(_shape(run.prepared, profile, base, one, timed))
        else:
            run.watcher.note(f"The shape {profile.words} could not be timed: {timed.failure}")
    return shapes


def _shape(
    prepared: Prepared, profile: Profile, base: Base, made: Made, timed: Timed
) -> TimedShape:
    facts = made_facts(prepared, made)
    shape = TimedShape(
        profile=profile,
        form=base.form.name,
        ratio=timed.ratio,
        lower=timed.lower,
        upper=timed.upper,
        median_s=timed.median_s,
        tail_s=timed.tail_s,
        rounds=timed.rounds,
        evidence=prepared.evidence,
        predicted_s=_predicted(prepared, facts, made),
        macs=None if facts is None else sum(o.macs * o.count for o in facts.operations),
    )
    verdict = judged(shape, base.ratio, latency_limit(prepared))
    return msgspec.structs.replace(shape, verdict=verdict)


def _predicted(prepared: Prepared, facts: Facts | None, made: Made) -> float | None:
    """Of the target, where this machine is not it: the least that the band allows is judged."""
    if prepared.evidence is Evidence.TARGET:
        return None
    found = predictions(
        prepared.request.target,
        facts,
        made.artifact.precision,
        prepared.budgets,
        prepared.experiences,
    )
    return next((e.lower for metric, e in found.items() if metric.startswith("latency")), None)
