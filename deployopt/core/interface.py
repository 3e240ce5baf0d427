"""How examples become a model's inputs, and its outputs an answer: data, never code."""

from enum import StrEnum
from typing import Final, Literal

import msgspec

from deployopt.core.noise_schedule import NoiseSchedule


class Task(StrEnum):
    """What the model answers."""

    TEXT_CLASSIFICATION = "text-classification"
    IMAGE_CLASSIFICATION = "image-classification"
    ZERO_SHOT = "zero-shot-image-classification"  # an image-text model whose captions are fixed
    IMAGE_TEXT = "image-text"
    OBJECT_DETECTION = "object-detection"
    TEXT_GENERATION = "text-generation"
    IMAGE_GENERATION = "text-to-image"
    ANY = "any"  # an ONNX file whose outputs are compared with the reference's


class TextInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="text"):
    """`tokenizer.json` turns text into int64 arrays `[batch, length]`, one an input name.

    `input_names` are among input_ids, attention_mask, token_type_ids.
    """

    tokenizer: str = "tokenizer.json"
    max_length: int
    pad_id: int = 0
    input_names: tuple[str, ...] = ("input_ids", "attention_mask")
    padded: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether every text is padded to `max_length`, since the model learnt to read the padding."""


class ImageInputs(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="image"
):
    """uint8 images `[height, width, channels]` become float32 `[batch, channels, height, width]`.

    value = (pixel * scale - mean[c]) / std[c]; `resize` is the short side before the centre crop.
    """

    input_name: str
    channels: int = 3
    height: int
    width: int
    resize: int | None = None
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    layout: str = "NCHW"


class ArrayInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input of a graph; a dimension is a number, or a name where it may vary."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class ArrayInputs(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="arrays"
):
    """Arrays go in as they are, each example with its own batch dimension of 1."""

    inputs: tuple[ArrayInput, ...]


class PromptInputs(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="prompt"
):
    """Token ids of the model's own tokenizer, int64 `[1, length]`; it goes on where they end.

    `context` is the most tokens of prompt and answer together; `chat` says whether the tokenizer
    has a template for turns.
    """

    context: int
    chat: bool


PAIR_SCORES: Final = "logits_per_image"
"""How well each text fits each image, `[images, texts]`."""


TEXTS_AT_ONCE: Final = 32
"""The most texts of one request; more go in several."""


class PairInputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pair"):
    """An image and a text, each by a tower of its own; there may be more of the one."""

    image: ImageInputs
    text: TextInputs


STEPS: Final = 20
"""Of a drawing that is judged and timed."""
GUIDANCE: Final = 7.5


class DrawingInputs(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="drawing"
):
    """A prompt, cut or padded to `length` tokens, guides `steps` steps from noise to an image.

    The noise is float32 `[batch, channels, height, width]`; the image has `pixels` times as many
    rows and columns. `scaling` divides the last step's result before it is decoded. `guidance`
    over 1 takes the difference to an empty prompt so many times.
    """

    tokenizer: str = "tokenizer.json"
    length: int
    pad_id: int
    channels: int
    height: int
    width: int
    pixels: int
    scaling: float
    schedule: NoiseSchedule
    steps: int = STEPS
    guidance: float = GUIDANCE


class BoxForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a detector's outputs become boxes.

    Its first output has scores `[batch, places, classes]`, its second boxes `[batch, places, 4]`:
    centre, width and height as shares of the image's sides. `softmax` shares each place's score out
    among the classes and a last one that is nothing, and the best class has the place; `sigmoid`
    scores each class by itself, and the best `most` of all places and classes are kept.
    """

    scores: Literal["softmax", "sigmoid"]
    most: int


class Interface(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contract between an example and an answer; written into every bundle."""

    task: Task
    inputs: TextInputs | ImageInputs | ArrayInputs | PromptInputs | PairInputs | DrawingInputs
    outputs: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """The label of each logit, in order; empty where the task has none."""
    boxes: BoxForm | msgspec.UnsetType = msgspec.UNSET
    """Of a detector only."""
    apart: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether each label, or text, is scored by itself (the logit's sigmoid), so that scores do not
    sum to 1; else they are shares (softmax)."""

    @property
    def classifies(self) -> bool:
        """Whether right and wrong can be told by labels; else outputs are compared as they are."""
        return not self.detects and (self.task in _CLASSIFYING or bool(self.labels))

    @property
    def detects(self) -> bool:
        """Whether it finds boxes in images."""
        return self.task is Task.OBJECT_DETECTION

    @property
    def pairs(self) -> bool:
        """Whether it says how well images and texts go together."""
        return self.task is Task.IMAGE_TEXT

    @property
    def generates(self) -> bool:
        """Whether it goes on with a text, token by token."""
        return self.task is Task.TEXT_GENERATION

    @property
    def draws(self) -> bool:
        """Whether it makes images of texts."""
        return self.task is Task.IMAGE_GENERATION


_CLASSIFYING: Final = frozenset(
    {Task.TEXT_CLASSIFICATION, Task.IMAGE_CLASSIFICATION, Task.ZERO_SHOT}
)
