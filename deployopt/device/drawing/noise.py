"""The noise that a drawing starts from: the same for a seed on every machine and in every version.

In: a seed, or a prompt that stands for one. Out: float32 values of a normal distribution. The raw
64-bit words are those of PCG64, whose stream numpy does not change; they become normal by Box and
Muller's formula (1958), since numpy's own way from words to normal values may change.
"""

import hashlib
import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_SHIFT: Final = np.uint64(11)
_UNIT: Final = 2.0**-53
_SEED_BYTES: Final = 8


def normal_noise(seed: int, shape: tuple[int, ...]) -> Floats:
    """Independent values of mean 0 and variance 1."""
    count = math.prod(shape)
    half = -(-count // 2)
    words = np.random.PCG64(seed).random_raw(2 * half)
    shares = (words >> _SHIFT).astype(np.float64) * _UNIT
    # 1 - u lies in (0, 1], where the logarithm is finite.
    radius = np.sqrt(-2.0 * np.log(1.0 - shares[:half]))
    angle = 2.0 * np.pi * shares[half:]
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return values[:count].reshape(shape).astype(np.float32)


def seed_of(prompt: str) -> int:
    """The seed that a prompt is judged with: the first eight bytes of its sha256."""
    return int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:_SEED_BYTES], "big")
