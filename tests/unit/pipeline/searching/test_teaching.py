"""What a rung is: cut once, taught again and again, each time to the end and more gently."""

from pathlib import Path

from deployopt.core.search import Effort, Profile
from deployopt.core.watching import SILENT
from deployopt.pipeline.recipes import Form
from deployopt.pipeline.searching.journal import Journal
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.searching.teaching import Class, taught_steps
from deployopt.pipeline.searching.time_budget import TimeBudget
from deployopt.steps.distil import Distil
from deployopt.steps.prune import Prune
from tests.fakes.searching import prepared_build
from tests.unit.pipeline.searching.test_journal import BEGAN


def room(path: Path, *, labelled: bool = True) -> Class:
    run = SearchRun(
        prepared=prepared_build(),
        effort=Effort.DEFAULT,
        journal=Journal(path, BEGAN),
        budget=TimeBudget(None),
        watcher=SILENT,
    )
    return Class(run=run, form=Form(name="int8", reason=""), labelled=labelled)


def test_each_rung_adds_a_lesson_that_is_gentler_and_goes_to_its_end(tmp_path: Path) -> None:
    school, profile = room(tmp_path / "log"), Profile(layers=(0, 5), ffn=0.5)
    first = taught_steps(school, profile, (), 1, None)
    second = taught_steps(school, profile, first, 3, None)
    third = taught_steps(school, profile, second, 6, 100.0)
    assert [step.name for step in third] == [Prune.name, *[Distil.name] * 3]
    lessons = [step for step in third if isinstance(step, Distil)]
    assert [lesson.epochs for lesson in lessons] == [1, 3, 6]
    rates = [lesson.learning_rate for lesson in lessons]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.5 * rates[0]
    # A rate that falls to zero by the end must not be stopped half-way.
    assert all(lesson.patience >= lesson.epochs for lesson in lessons)
    assert lessons[-1].time_limit_s == 100.0


def test_channels_learn_faster_and_without_labels_none_weigh(tmp_path: Path) -> None:
    layers = taught_steps(room(tmp_path / "a"), Profile(layers=(0,)), (), 1, None)[-1]
    channels = taught_steps(
        room(tmp_path / "b", labelled=False), Profile(channels=0.5), (), 1, None
    )[-1]
    assert isinstance(layers, Distil)
    assert isinstance(channels, Distil)
    assert channels.learning_rate > layers.learning_rate
    assert (layers.label_weight, channels.label_weight) == (0.5, 0.0)
