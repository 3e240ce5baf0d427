"""What models are for: the tasks that the catalogue sorts models by, wider than what is built."""

from enum import StrEnum
from typing import Final

from deployopt.core.errors import UsageError
from deployopt.core.explain import nearest_word
from deployopt.core.text import safe_text


class ModelTask(StrEnum):
    """Named as the hub names them."""

    TEXT_CLASSIFICATION = "text-classification"
    QUESTION_ANSWERING = "question-answering"
    TOKEN_CLASSIFICATION = "token-classification"  # noqa: S105 -- a task's name
    TRANSLATION = "translation"
    SUMMARIZATION = "summarization"
    TEXT_GENERATION = "text-generation"
    IMAGE_CLASSIFICATION = "image-classification"
    OBJECT_DETECTION = "object-detection"
    IMAGE_SEGMENTATION = "image-segmentation"
    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TEXT = "zero-shot-image-classification"
    SPEECH_RECOGNITION = "automatic-speech-recognition"
    FEATURE_EXTRACTION = "feature-extraction"


# What people say for it; the hub's own names are known besides.
_SAID: Final[dict[ModelTask, tuple[str, ...]]] = {
    ModelTask.TEXT_CLASSIFICATION: (
        "classification", "intent", "nli", "sentiment", "sentiment-analysis", "spam", "text",
        "topic",
    ),
    ModelTask.QUESTION_ANSWERING: ("extractive-qa", "qa", "reading-comprehension"),
    ModelTask.TOKEN_CLASSIFICATION: ("named-entity-recognition", "ner", "pos", "tagging"),
    ModelTask.TRANSLATION: ("mt", "translate"),
    ModelTask.SUMMARIZATION: ("summarisation", "summarize", "summary"),
    ModelTask.TEXT_GENERATION: (
        "assistant", "chat", "chatbot", "code", "completion", "generation", "llm",
    ),
    ModelTask.IMAGE_CLASSIFICATION: ("image", "images", "vision"),
    ModelTask.OBJECT_DETECTION: ("detect", "detection", "detector", "yolo"),
    ModelTask.IMAGE_SEGMENTATION: ("segment", "segmentation", "semantic-segmentation"),
    ModelTask.TEXT_TO_IMAGE: (
        "diffusion", "drawing", "image-generation", "stable-diffusion", "text2image",
    ),
    ModelTask.IMAGE_TEXT: ("clip", "image-text", "zero-shot"),
    ModelTask.SPEECH_RECOGNITION: (
        "asr", "speech", "speech-recognition", "speech-to-text", "stt", "transcription",
    ),
    ModelTask.FEATURE_EXTRACTION: (
        "embedding", "embeddings", "retrieval", "search", "semantic-search",
        "sentence-similarity",
    ),
}  # fmt: skip
_BY_NAME: Final[dict[str, ModelTask]] = {
    **{name: task for task, names in _SAID.items() for name in names},
    **{task.value: task for task in ModelTask},
}
_SHOWN: Final = 60


def parse_task(text: str) -> ModelTask:
    """The task of this name: the hub's, or what people say for it (sentiment, ner, detection).

    Raises:
        UsageError: an unknown task; names the nearest one and lists them all.
    """
    name = "-".join(text.strip().casefold().replace("_", " ").replace("-", " ").split())
    task = _BY_NAME.get(name)
    if task is not None:
        return task
    close = nearest_word(name, _BY_NAME)
    hint = f" Did you mean {close!r}?" if close else ""
    raise UsageError(
        f"There is no task {safe_text(text, _SHOWN)!r}.{hint} The tasks are "
        f"{', '.join(task.value for task in ModelTask)}."
    )
