"""What a request of each task usually is, and what counts as real time for it.

In: a task. Out: tokens read and written, how long a person or a camera waits. Conventions that an
option replaces; nothing here is measured.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from deployopt.catalogue.data import KNOWN_SIZES
from deployopt.core.tasks import ModelTask

Kind = Literal["text", "image", "speech", "drawing"]

FRAME_S: Final = 1 / 30
"""A camera gives 30 frames a second."""
WAIT_S: Final = 0.1
"""A reaction within 0.1 s feels immediate (Miller 1968, Nielsen 1993)."""
PATIENCE_S: Final = 10.0
"""After 10 s a person turns to something else (the same)."""
READING_TPS: Final = 5.5
"""Tokens a second at 250 words a minute and 1.3 tokens a word."""
WINDOW_S: Final = 30.0
"""Sound that a speech model takes in at once; slower than this falls behind the speaker."""


class Usual(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`length` tokens read, `answer` tokens written; None where no text goes in."""

    kind: Kind
    length: int | None = None
    trained: int | None = None
    """Tokens that an example is cut at in training; None: `length`."""
    answer: int = 0
    wait_s: float = WAIT_S
    unit: str = "request"

    @property
    def a_unit(self) -> str:
        """With its article."""
        return f"an {self.unit}" if self.unit[0] in "aeiou" else f"a {self.unit}"


USUAL: Final[Mapping[ModelTask, Usual]] = {
    # The 95th percentile of SST-2's sentences, as `plan` takes it.
    ModelTask.TEXT_CLASSIFICATION: Usual(
        kind="text", length=KNOWN_SIZES["sst2"].tokens, trained=128
    ),
    ModelTask.QUESTION_ANSWERING: Usual(kind="text", length=384),
    ModelTask.TOKEN_CLASSIFICATION: Usual(kind="text", length=64, trained=128),
    ModelTask.TRANSLATION: Usual(kind="text", length=128, answer=128),
    ModelTask.SUMMARIZATION: Usual(kind="text", length=512, answer=128),
    ModelTask.TEXT_GENERATION: Usual(kind="text", length=512, answer=256),
    ModelTask.FEATURE_EXTRACTION: Usual(kind="text", length=256),
    ModelTask.IMAGE_CLASSIFICATION: Usual(kind="image", wait_s=FRAME_S, unit="image"),
    ModelTask.OBJECT_DETECTION: Usual(kind="image", wait_s=FRAME_S, unit="image"),
    ModelTask.IMAGE_SEGMENTATION: Usual(kind="image", wait_s=FRAME_S, unit="image"),
    ModelTask.IMAGE_TEXT: Usual(kind="image", wait_s=FRAME_S, unit="image"),
    ModelTask.TEXT_TO_IMAGE: Usual(kind="drawing", wait_s=PATIENCE_S, unit="image"),
    ModelTask.SPEECH_RECOGNITION: Usual(
        kind="speech", answer=100, wait_s=WINDOW_S, unit="window of 30 s"
    ),
}

GENERATION_CONTEXT: Final = 2048
"""Tokens that a chat keeps, the prompt and the answer, unless more are asked for."""
