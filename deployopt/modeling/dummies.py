"""Inputs to trace a model with: the real samples when there are any, else made-up ones."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.errors import StepError
from deployopt.core.interface import ImageInputs, Interface, PairInputs, TextInputs
from deployopt.core.samples import Array, Feed

TRACE_BATCH: Final = 2
TRACE_LENGTH: Final = 16
_SAMPLE_LENGTHS: Final = (5, 24, 11)
_ID_RANGE: Final = 100


def trace_feed(interface: Interface) -> dict[str, Array]:
    """One request of two examples, no size equal to another that a tracer could take it for."""
    return _feed(interface, TRACE_BATCH, TRACE_LENGTH, np.random.default_rng(0))


def check_feeds(interface: Interface, samples: Sequence[Feed], most: int) -> list[Feed]:
    """Requests of other shapes than the traced one: real samples spread over their order, or made.

    Real ones come as they are; a pair of them is also asked at once, padded.
    """
    chosen: list[Feed] = list(samples)
    if len(samples) > most:
        chosen = [samples[i] for i in np.linspace(0, len(samples) - 1, most).astype(int)]
    if not chosen:
        random = np.random.default_rng(1)
        chosen = [_feed(interface, 1, length, random) for length in _SAMPLE_LENGTHS]
    return [*chosen, pad_together(chosen[:3], interface)]


def pad_together(feeds: Sequence[Feed], interface: Interface) -> dict[str, Array]:
    """One batch of all the examples; texts are padded on the right with the interface's pad id."""
    return {name: _stack([feed[name] for feed in feeds], name, interface) for name in feeds[0]}


def _stack(arrays: list[Array], name: str, interface: Interface) -> Array:
    inputs = interface.inputs
    texts = inputs.text if isinstance(inputs, PairInputs) else inputs
    if not isinstance(texts, TextInputs) or name not in texts.input_names:
        return np.concatenate(arrays)
    fill = texts.pad_id if name == "input_ids" else 0
    longest = max(array.shape[1] for array in arrays)
    rows = sum(array.shape[0] for array in arrays)
    stacked = np.full((rows, longest), fill, arrays[0].dtype)
    row = 0
    for array in arrays:
        stacked[row : row + array.shape[0], : array.shape[1]] = array
        row += array.shape[0]
    return stacked


def _feed(
    interface: Interface, batch: int, length: int, random: np.random.Generator
) -> dict[str, Array]:
    match interface.inputs:
        case TextInputs(input_names=names, max_length=longest):
            return {n: _text_input(n, batch, min(length, longest), random) for n in names}
        case ImageInputs(input_name=name, channels=channels, height=height, width=width):
            shape = (batch, channels, height, width)
            return {name: random.standard_normal(shape, np.float32)}
        case PairInputs(image=image, text=text):
            # One text more than images, so that a tracer cannot take the one for the other.
            seen = _feed(_alone(interface, image), batch, length, random)
            return seen | _feed(_alone(interface, text), batch + 1, length, random)
        case _:
            raise StepError("Export needs text or image inputs; give an ONNX file instead.")


def _alone(interface: Interface, inputs: ImageInputs | TextInputs) -> Interface:
    return msgspec.structs.replace(interface, inputs=inputs)


def _text_input(name: str, batch: int, length: int, random: np.random.Generator) -> Array:
    if name == "attention_mask":
        return np.ones((batch, length), np.int64)
    if name == "token_type_ids":
        return np.zeros((batch, length), np.int64)
    # Low ids are in every vocabulary; 0 to 3 are often special, and RoBERTa counts positions by
    # the pad id.
    return random.integers(4, _ID_RANGE, (batch, length), np.int64)
