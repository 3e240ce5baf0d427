"""Whether a model's weights answer a task as they come, or only after fine-tuning."""

from typing import Final

from deployopt.catalogue.models import Entry
from deployopt.core.tasks import ModelTask

_HEADS: Final = {
    ModelTask.TEXT_CLASSIFICATION: "SequenceClassification",
    ModelTask.QUESTION_ANSWERING: "QuestionAnswering",
    ModelTask.TOKEN_CLASSIFICATION: "TokenClassification",
}


def answers(entry: Entry, task: ModelTask) -> bool:
    """By the class that its config names; other tasks' models all answer."""
    head = _HEADS.get(task)
    if head is None:
        return True
    listed = entry.config.get("architectures")
    names = listed if isinstance(listed, list) else []
    return any(head in str(name) for name in names)
