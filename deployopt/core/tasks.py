"""What models are for: the tasks that the catalogue sorts models by, wider than what is built."""

from enum import StrEnum


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
