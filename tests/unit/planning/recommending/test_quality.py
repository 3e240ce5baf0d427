"""Published figures are compared on one yardstick only."""

from collections.abc import Callable

from deployopt.catalogue.models import Entry, Quality
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.quality import figure, points, written, yardstick_of

TASK = ModelTask.TEXT_CLASSIFICATION


def test_the_yardstick_is_the_commonest_and_parts_of_a_set_are_one(
    entry: Callable[..., Entry], published: Callable[..., Quality]
) -> None:
    models = (
        entry("a", quality=(published(90, data="MNLI matched"),)),
        entry("b", quality=(published(91, data="SST-2 test"),)),
        entry("c", quality=(published(92, data="SST-2 validation"),)),
    )
    yardstick = yardstick_of(models, TASK)
    assert [points(figure(model, TASK, yardstick)) for model in models] == [None, 91, 92]


def test_an_unnamed_part_of_a_set_is_of_that_set(
    entry: Callable[..., Entry], published: Callable[..., Quality]
) -> None:
    models = (
        entry("a", quality=(published(91, data="CoNLL-2003 test"),)),
        entry("b", quality=(published(92, data="CoNLL-2003, a part it does not name"),)),
    )
    yardstick = yardstick_of(models, TASK)
    assert [points(figure(model, TASK, yardstick)) for model in models] == [91, 92]


def test_models_that_answer_as_they_come_decide(
    entry: Callable[..., Entry], published: Callable[..., Quality]
) -> None:
    bare = {"config": {"architectures": ["BertModel"]}}
    models = (
        entry("a", quality=(published(90, data="MNLI"),), **bare),
        entry("b", quality=(published(91, data="MNLI"),), **bare),
        entry("c", quality=(published(92),)),
    )
    assert yardstick_of(models, TASK) == ("accuracy", "sst-2")


def test_a_figure_of_another_task_does_not_count(
    entry: Callable[..., Entry], published: Callable[..., Quality]
) -> None:
    one = entry("a", quality=(published(90),))
    assert yardstick_of((one,), ModelTask.QUESTION_ANSWERING) is None
    assert figure(one, ModelTask.QUESTION_ANSWERING, ("accuracy", "sst-2")) is None


def test_error_rates_count_downwards(published: Callable[..., Quality]) -> None:
    worse = points(published(7.6, metric="WER"))
    better = points(published(5.0, metric="WER"))
    assert worse is not None
    assert better is not None
    assert better > worse
    assert points(None) is None


def test_a_figure_is_written_with_its_data(published: Callable[..., Quality]) -> None:
    assert written(published(91.1)) == "91.1 % accuracy, SST-2 test"
    assert written(published(74.2, "MMLU", "MMLU, 5 shown")) == "74.2 % MMLU, 5 shown"
    assert written(published(9.5, "FID", "COCO")) == "9.5 FID, COCO"
