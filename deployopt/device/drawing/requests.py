"""Prompts become requests: token ids of the prompt and of the negative one, and noise of a seed."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from deployopt.core.errors import UsageError
from deployopt.core.examples import Example
from deployopt.core.interface import DrawingInputs, TextInputs
from deployopt.core.samples import Feed
from deployopt.core.workload import Workload
from deployopt.device.drawing.loop import NEGATIVE, NOISE, PROMPT
from deployopt.device.drawing.noise import normal_noise, seed_of

_IDS = "input_ids"


class Encodes(Protocol):
    """What turns texts into token ids (device/inputs.py)."""

    def feed(self, batch: Sequence[Example]) -> Feed:
        """One request of these texts."""
        ...


def texts_of(inputs: DrawingInputs) -> tuple[TextInputs, Workload]:
    """How its prompts are cut and padded."""
    texts = TextInputs(
        tokenizer=inputs.tokenizer,
        max_length=inputs.length,
        pad_id=inputs.pad_id,
        input_names=(_IDS,),
    )
    return texts, Workload(length=inputs.length)


def drawing_request(
    encoder: Encodes,
    inputs: DrawingInputs,
    prompts: Sequence[str],
    *,
    negative: str = "",
    seeds: Sequence[int],
) -> Feed:
    """One request of these prompts, each with its own seed."""
    shape = (inputs.channels, inputs.height, inputs.width)
    return {
        PROMPT: encoder.feed(list(prompts))[_IDS],
        NEGATIVE: encoder.feed([negative] * len(prompts))[_IDS],
        NOISE: np.stack([normal_noise(seed, shape) for seed in seeds]),
    }


def judged_request(encoder: Encodes, inputs: DrawingInputs, batch: Sequence[Example]) -> Feed:
    """The request of examples: no negative prompt, a seed of the prompt's own.

    Raises:
        UsageError: an example is no text.
    """
    prompts = [one for one in batch if isinstance(one, str)]
    if len(prompts) != len(batch):
        raise UsageError("The model takes prompts; the examples are arrays.")
    return drawing_request(encoder, inputs, prompts, seeds=[seed_of(one) for one in prompts])
