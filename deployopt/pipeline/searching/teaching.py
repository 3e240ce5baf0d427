"""One shape taught for one more rung, and judged on the search split in the form that would ship.

In: a profile, what it was taught before, how many epochs more. Out: the training as the log keeps
it, and the candidate. A training that fails (a loss that is not finite, a cut that cannot be made)
is a record with a failure; the others go on.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Format
from deployopt.core.codec import decode_json
from deployopt.core.distill_result import Lessons
from deployopt.core.recipe import Step
from deployopt.core.search import Profile, TrainedShape
from deployopt.pipeline.making import Made
from deployopt.pipeline.recipes import Form
from deployopt.pipeline.searching.journal import Taught, restored, saved
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.searching.shaping import cut_step, shape_recipe
from deployopt.pipeline.trying import Tried, ask_recipes
from deployopt.steps.distil import Distil
from deployopt.store.model_folders import RECORD

_LEARNING_RATE: Final = {"layers": 2e-4, "channels": 1e-3}
_LABELS: Final = 0.5
_RESTART: Final = 0.6
"""Of the rate of the rung before: each rung begins anew with a smaller one (warm restarts)."""


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """What every training of a search shares: the form that is judged, and labels."""

    run: SearchRun
    form: Form
    labelled: bool
    bfloat16: bool = False
    """Whether this machine, which teaches, has instructions for it."""


def taught_steps(
    school: Class, profile: Profile, before: tuple[Step, ...], epochs: int, limit_s: float | None
) -> tuple[Step, ...]:
    """Cut by what matters on real inputs, then taught; `before` where it was taught already."""
    cut = before or (cut_step(profile, "taylor"),)
    rung = sum(isinstance(step, Distil) for step in before)
    kind = "channels" if profile.channels != 1 else "layers"
    lesson = Distil(
        epochs=epochs,
        learning_rate=_LEARNING_RATE[kind] * _RESTART**rung,
        label_weight=_LABELS if school.labelled else 0.0,
        layers=profile.layers,
        bfloat16=school.bfloat16,
        # The first epochs after a restart are worse than what they began with, and the last is
        # the best one: none is left out, and the best of all is kept.
        patience=epochs,
        time_limit_s=limit_s,
    )
    return (*cut, lesson)


def teach(school: Class, profile: Profile, rungs: tuple[int, ...], limit_s: float | None) -> Tried:
    """The next rung of this profile, from where the log has it; `rungs` are epochs to add.

    `limit_s` ends the teaching where it might take too long.
    """
    journal = school.run.journal
    rung = sum(one.training.profile == profile for one in journal.taught)
    earlier = journal.taught_at(profile, rung - 1) if rung else None
    before = restored(earlier.steps, journal.path) if earlier is not None else ()
    steps = taught_steps(school, profile, before, rungs[rung], limit_s)
    tried = ask(school, profile, steps)
    trial = tried.candidate.accuracy
    journal.add(
        Taught(
            training=_record(
                tried, profile, (rung, sum(rungs[: rung + 1])), school.run.budget.lap_s()
            ),
            steps=saved(steps),
            discordant=0 if trial is None else trial.lost + trial.gained,
        )
    )
    return tried


def ask(school: Class, profile: Profile, steps: tuple[Step, ...]) -> Tried:
    """The shape that these steps teach, in its form, asked the search split."""
    prepared = school.run.prepared
    recipe = shape_recipe(prepared, profile, steps, school.form)
    return ask_recipes(prepared, [recipe], school.run.watcher)[0]


def _record(tried: Tried, profile: Profile, at: tuple[int, int], seconds: float) -> TrainedShape:
    candidate = tried.candidate
    rung, epochs = at
    lessons = None if candidate.made is None else _lessons(candidate.made)
    return TrainedShape(
        recipe=candidate.recipe.name,
        profile=profile,
        rung=rung,
        epochs=epochs,
        seconds=seconds,
        agreement=None if lessons is None else lessons.epochs[lessons.best_epoch].agreement,
        loss=tried.loss,
        examples=0 if candidate.accuracy is None else candidate.accuracy.examples,
        failure=candidate.fault,
    )


def _lessons(made: Made) -> Lessons | None:
    folder = made.last_of(Format.TRANSFORMERS)
    if folder is None:
        return None
    path = folder.folder / RECORD
    return decode_json(path.read_bytes(), Lessons, where=str(path))
