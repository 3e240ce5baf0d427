"""How far one graph's answer to a request is from another's.

Both answers of one request go in; a Change for each example of it comes out. Classes are compared
by their shares: the Kullback-Leibler divergence from the reference's, in nats. Other outputs by
the mean squared difference over the reference's mean square.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deployopt.core.samples import Array

WORST: Final = 1e6
"""Stands for an answer that is not finite."""
_TINY: Final = 1e-12
_Floats = npt.NDArray[np.float64]


class Change(NamedTuple):
    """Of one example: how far, and whether another class came out."""

    error: float
    other_class: bool


def changes(answer: Array, reference: Array, *, classifies: bool) -> list[Change]:
    """Of logits `[batch, classes]` a Change a row, of any other output one for the request."""
    return _of_classes(answer, reference) if classifies else [_of_values(answer, reference)]


def _of_classes(answer: Array, reference: Array) -> list[Change]:
    found, wanted = _log_shares(answer), _log_shares(reference)
    with np.errstate(invalid="ignore"):
        errors = np.sum(np.exp(wanted) * (wanted - found), axis=-1)
    finite = np.isfinite(errors)
    other = (found.argmax(axis=-1) != wanted.argmax(axis=-1)) | ~finite
    errors = np.where(finite, np.maximum(errors, 0.0), WORST)
    return [Change(float(e), bool(o)) for e, o in zip(errors, other, strict=True)]


def _of_values(answer: Array, reference: Array) -> Change:
    wanted = np.asarray(reference, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        difference = np.mean((np.asarray(answer, np.float64) - wanted) ** 2)
        error = float(difference / (np.mean(wanted**2) + _TINY))
    return Change(error if np.isfinite(error) else WORST, other_class=False)


def _log_shares(logits: Array) -> _Floats:
    values = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):
        values = values - values.max(axis=-1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(axis=-1, keepdims=True)))
