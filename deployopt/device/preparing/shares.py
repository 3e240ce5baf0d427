"""Logits become shares that sum to 1, or scores of each label by itself.

This file stands alone: it is copied, as it is, to servers that have no deployopt.
"""

import numpy as np
import numpy.typing as npt


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """`[C]` logits to shares that sum to 1.

    Raises:
        ValueError: a logit is not finite.
    """
    _require_finite(logits)
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    shares: npt.NDArray[np.float64] = shifted / shifted.sum()
    return shares


def sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """`[C]` logits to scores from 0 to 1, each by itself; raises as softmax."""
    _require_finite(logits)
    # Without overflow on either side.
    scores: npt.NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
    return scores


def _require_finite(logits: npt.NDArray[np.float32]) -> None:
    if not np.isfinite(logits).all():
        raise ValueError("The model's output is not finite, so that it says nothing.")
