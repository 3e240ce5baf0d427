"""Which weights answer a task as they come."""

from collections.abc import Callable

from deployopt.catalogue.models import Entry
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.heads import answers


def test_the_class_that_the_config_names_decides(entry: Callable[..., Entry]) -> None:
    classifier = entry()
    assert answers(classifier, ModelTask.TEXT_CLASSIFICATION)
    assert not answers(classifier, ModelTask.QUESTION_ANSWERING)
    assert not answers(entry(config={}), ModelTask.TEXT_CLASSIFICATION)


def test_other_tasks_need_no_head_of_their_own(entry: Callable[..., Entry]) -> None:
    assert answers(entry(config={}), ModelTask.OBJECT_DETECTION)
