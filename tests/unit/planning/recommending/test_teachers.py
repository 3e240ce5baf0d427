"""A teacher is better, lists the student, has data enough and fits beside it."""

from collections.abc import Callable

import pytest

from deployopt.catalogue.models import find_entry
from deployopt.core.tasks import ModelTask
from deployopt.planning.cost import read_prices
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.recommend import look_at_all
from deployopt.planning.recommending.teachers import teacher_of
from deployopt.planning.recommending.training import Plan, plan_for
from deployopt.planning.recommending.wants import Wants


@pytest.fixture
def taught(wants: Callable[..., Wants]) -> tuple[Candidate, tuple[Candidate, ...], Plan]:
    asked = wants(ModelTask.TEXT_CLASSIFICATION, "rpi4", examples=8_000)
    everyone = look_at_all(asked)
    student = next(c for c in everyone if c.entry.alias == "distilbert")
    plan = plan_for(student, asked, read_prices(None))
    assert plan is not None
    return student, everyone, plan


def test_the_best_that_lists_it(
    taught: tuple[Candidate, tuple[Candidate, ...], Plan],
) -> None:
    student, everyone, plan = taught
    teacher = teacher_of(student, everyone, plan, 8_000)
    assert teacher is not None
    assert student.entry.alias in teacher.entry.students
    assert (teacher.points or 0) > (student.points or 0)


def test_a_teacher_needs_its_own_examples(
    taught: tuple[Candidate, tuple[Candidate, ...], Plan],
) -> None:
    student, everyone, plan = taught
    assert teacher_of(student, everyone, plan, 10) is None


def test_nobody_teaches_without_a_figure_to_compare(
    taught: tuple[Candidate, tuple[Candidate, ...], Plan],
) -> None:
    student, everyone, plan = taught
    unknown = Candidate(entry=find_entry("distilbert"), architecture=student.architecture)
    assert teacher_of(unknown, everyone, plan, 8_000) is None
