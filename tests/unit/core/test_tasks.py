"""Tasks by the hub's names and by what people say."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.tasks import ModelTask, parse_task


@pytest.mark.parametrize("task", ModelTask)
def test_the_hubs_names_are_known(task: ModelTask) -> None:
    assert parse_task(task.value) is task
    assert parse_task(f" {task.value.upper().replace('-', '_')} ") is task


@pytest.mark.parametrize(
    ("said", "task"),
    [
        ("sentiment", ModelTask.TEXT_CLASSIFICATION),
        ("Classification", ModelTask.TEXT_CLASSIFICATION),
        ("qa", ModelTask.QUESTION_ANSWERING),
        ("NER", ModelTask.TOKEN_CLASSIFICATION),
        ("translate", ModelTask.TRANSLATION),
        ("chat", ModelTask.TEXT_GENERATION),
        ("llm", ModelTask.TEXT_GENERATION),
        ("image", ModelTask.IMAGE_CLASSIFICATION),
        ("detection", ModelTask.OBJECT_DETECTION),
        ("semantic segmentation", ModelTask.IMAGE_SEGMENTATION),
        ("text to image", ModelTask.TEXT_TO_IMAGE),
        ("clip", ModelTask.IMAGE_TEXT),
        ("asr", ModelTask.SPEECH_RECOGNITION),
        ("embeddings", ModelTask.FEATURE_EXTRACTION),
    ],
)
def test_what_people_say_is_known(said: str, task: ModelTask) -> None:
    assert parse_task(said) is task


def test_an_unknown_task_gets_the_nearest_and_all() -> None:
    with pytest.raises(UsageError, match=r"'detecton'. Did you mean 'detection'\?") as raised:
        parse_task("detecton")
    assert all(task.value in str(raised.value) for task in ModelTask)


@pytest.mark.parametrize("text", ["", "   ", "x" * 10_000, "\x1b[31m"])
def test_nonsense_is_refused_shortly(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_task(text)
    assert len(str(raised.value)) < 500
    assert "\x1b" not in str(raised.value)
