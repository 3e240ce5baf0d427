"""From token ids and noise to an image: what runs between the three parts of a pipeline.

In: the parts as functions, a request, how many steps and how much guidance. Out: float32
`[batch, 3, height, width]` between -1 and 1. Knows no runtime.
"""

from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.interface import DrawingInputs
from deployopt.core.samples import Feed
from deployopt.device.drawing.schedule import course_of, one_step

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
PROMPT: Final = "input_ids"
NEGATIVE: Final = "negative_ids"
NOISE: Final = "noise"


class Parts(Protocol):
    """The networks of a pipeline."""

    def encode(self, ids: Ints) -> Floats:
        """`[n, length]` ids to `[n, length, width]`."""
        ...

    def predict(self, sample: Floats, timestep: Ints, hidden: Floats) -> Floats:
        """What the sample's noise is, `[n, channels, height, width]`; `timestep` is `[n]`."""
        ...

    def decode(self, latents: Floats) -> Floats:
        """Latents to pixels, about -1 to 1."""
        ...


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """How a request is drawn."""

    steps: int
    guidance: float

    @property
    def guided(self) -> bool:
        """Whether the UNet is asked for the negative prompt as well."""
        return self.guidance > 1.0


def draw(parts: Parts, inputs: DrawingInputs, request: Feed, how: Drawn) -> Floats:
    """One image a prompt of the request.

    Raises:
        UsageError: a number of steps that the model does not take.
    """
    course = course_of(inputs.schedule, how.steps)
    asked: tuple[Ints, ...] = (request[PROMPT],)
    if how.guided:
        asked = (request[NEGATIVE], *asked)
    hidden = parts.encode(np.concatenate(asked))
    sample: Floats = np.asarray(request[NOISE], dtype=np.float32)
    for timestep in course.timesteps:
        both = np.concatenate([sample] * len(asked))
        at = np.full(len(both), timestep, dtype=np.int64)
        answer = parts.predict(both, at, hidden)
        if how.guided:
            apart, towards = np.split(answer, 2)
            answer = apart + np.float32(how.guidance) * (towards - apart)
        sample = one_step(course, timestep, sample, answer)
    image: Floats = np.clip(parts.decode(sample / np.float32(inputs.scaling)), -1.0, 1.0)
    return image


def pixels_of(image: Floats) -> npt.NDArray[np.uint8]:
    """`[3, height, width]` between -1 and 1 as uint8 `[height, width, 3]`."""
    shown: npt.NDArray[np.uint8] = np.round((image * 0.5 + 0.5) * 255.0).astype(np.uint8)
    return np.ascontiguousarray(shown.transpose(1, 2, 0))
