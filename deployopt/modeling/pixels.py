"""A batch of inputs from single ones; images may wait as uint8 pixels and are normalized here.

Pixels are at the model's size already and in its layout, `[1, channels, height, width]`: a quarter
of the bytes that they take as float32.
"""

from collections.abc import Sequence

import numpy as np

from deployopt.core.interface import ImageInputs, Interface
from deployopt.core.samples import Array, Feed
from deployopt.modeling.dummies import pad_together


def batch_of(feeds: Sequence[Feed], interface: Interface) -> dict[str, Array]:
    """One batch of all the examples, as the model takes it."""
    together = pad_together(feeds, interface)
    inputs = interface.inputs
    if not isinstance(inputs, ImageInputs):
        return together
    return {
        name: normalized(array, inputs) if array.dtype == np.uint8 else array
        for name, array in together.items()
    }


def normalized(pixels: Array, inputs: ImageInputs) -> Array:
    """(pixel * scale - mean) / deviation by channel, float32."""
    shape = (1, -1, 1, 1) if inputs.layout == "NCHW" else (1, 1, 1, -1)
    mean, std = (
        np.asarray(values[: inputs.channels], np.float32).reshape(shape)
        for values in (inputs.mean, inputs.std)
    )
    ready: Array = (pixels.astype(np.float32) * np.float32(inputs.scale) - mean) / std
    return ready
