"""Logits become shares that sum to 1.

This file stands alone: it is copied, as it is, to servers that have no deployopt.
"""

import numpy as np
import numpy.typing as npt


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """`[C]` logits to shares that sum to 1.

    Raises:
        ValueError: a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise ValueError("The model's output is not finite, so that it says nothing.")
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    shares: npt.NDArray[np.float64] = shifted / shifted.sum()
    return shares
