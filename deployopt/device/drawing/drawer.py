"""One image of a prompt, with a bundle's pipeline.

In: an open session, its interface, the folder with the tokenizer, a prompt and settings. Out:
pixels, and what they took. Refuses settings that the model does not take, and a prompt without
words.
"""

import time
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.drawing import GRAPHS
from deployopt.core.drawing_result import DrawingSettings
from deployopt.core.errors import DeviceError, UsageError
from deployopt.device.drawing.loop import Drawn, pixels_of
from deployopt.device.drawing.requests import drawing_request
from deployopt.device.drawing.session import DrawingSession
from deployopt.device.inputs import open_tokenizer, prompt_encoder

_CHARACTERS_MAX: Final = 10_000
_S: Final = 1e-9


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """uint8 `[height, width, 3]`, how it was drawn, and what it took."""

    pixels: npt.NDArray[np.uint8]
    drawn: Drawn
    seconds: float
    parts_s: dict[str, float]
    tokens: int
    tokens_read: int
    judged: bool


def draw_picture(
    session: DrawingSession, folder: Path, prompt: str, settings: DrawingSettings
) -> Picture:
    """Draw it.

    Raises:
        UsageError: the prompt is empty or far too long, or a setting is none that the model takes.
        DeviceError: the runtime fails, or draws numbers that are not finite.
    """
    settings.check()
    for text in (prompt, settings.negative):
        if len(text) > _CHARACTERS_MAX:
            raise UsageError(f"A prompt has at most {_CHARACTERS_MAX:,} characters.")
    if not prompt.strip():
        raise UsageError("The prompt is empty. Say what is to be drawn.")
    inputs = session.inputs
    drawn = Drawn(
        steps=inputs.steps if settings.steps is None else settings.steps,
        guidance=inputs.guidance if settings.guidance is None else settings.guidance,
    )
    request = drawing_request(
        prompt_encoder(inputs, folder),
        inputs,
        [prompt],
        negative=settings.negative,
        seeds=[settings.seed],
    )
    start = time.perf_counter_ns()
    image = session.draw(request, drawn)
    seconds = (time.perf_counter_ns() - start) * _S
    if not np.isfinite(image).all():
        raise DeviceError("The model draws numbers that are not finite, so there is no image.")
    tokens = _tokens(folder / inputs.tokenizer, prompt)
    return Picture(
        pixels=pixels_of(image[0]),
        drawn=drawn,
        seconds=seconds,
        parts_s=dict(zip(GRAPHS, session.spent_s, strict=True)),
        tokens=tokens,
        tokens_read=min(tokens, inputs.length),
        judged=drawn == Drawn(steps=inputs.steps, guidance=inputs.guidance),
    )


def _tokens(path: Path, prompt: str) -> int:
    """All of the prompt's, though the file may say where to cut it, or how far to fill it up."""
    tokenizer = open_tokenizer(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return len(tokenizer.encode(prompt).ids)
