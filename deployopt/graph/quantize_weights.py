"""Float weights as signed 8-bit integers, symmetric about zero, by plain array arithmetic.

w is about q * scale with q in [-limit, limit]; limit is 127, or 64 where u8 x s8 products would
saturate the 16-bit sums of x86 without VNNI (7 bits: 255 * 64 * 2 < 2**15).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

FULL_LIMIT: Final = 127
REDUCED_LIMIT: Final = 64

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int8]


def quantize_symmetric(
    weight: Floats, axis: int | None = None, *, reduce_range: bool = False
) -> tuple[Ints, Floats]:
    """The integers, and one scale, or one for each position along `axis`."""
    limit = REDUCED_LIMIT if reduce_range else FULL_LIMIT
    others = None if axis is None else tuple(d for d in range(weight.ndim) if d != axis)
    largest = np.maximum(
        np.max(weight, axis=others, keepdims=True), -np.min(weight, axis=others, keepdims=True)
    )
    # A row of zeros keeps scale 1: its integers are zeros too.
    scale = np.where(largest > 0, largest / np.float32(limit), np.float32(1)).astype(np.float32)
    scaled = weight / scale
    np.rint(scaled, out=scaled)
    np.clip(scaled, -limit, limit, out=scaled)
    shape = () if axis is None else (weight.shape[axis],)
    return scaled.astype(np.int8), scale.reshape(shape)
