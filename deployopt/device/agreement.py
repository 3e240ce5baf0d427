"""Whether two answers of a graph with unknown meaning agree, where nobody can say what is right.

In: the candidate's and the reference's outputs of one request. Out: yes or no. A float output
`[batch, classes]` agrees when every row has its greatest value at the same place; any other float
output when its root-mean-square difference is at most 10 % of the reference's root mean square (a
signal 20 dB above the error, what a sound 8-bit model keeps); whole numbers when they are equal.
"""

from typing import Final

import numpy as np

from deployopt.core.samples import Array, Feed

RELATIVE_RMS_MAX: Final = 0.1
_LOGITS_RANK: Final = 2
_TINY: Final = 1e-12


def agrees(candidate: Feed, reference: Feed) -> bool:
    """Whether every output of the reference is there and agrees."""
    return all(
        name in candidate and _output_agrees(candidate[name], value)
        for name, value in reference.items()
    )


def relative_rms(candidate: Array, reference: Array) -> float:
    """Root-mean-square difference over the reference's root mean square."""
    wanted = np.asarray(reference, dtype=np.float64)
    difference = np.asarray(candidate, dtype=np.float64) - wanted
    return float(np.sqrt(np.mean(difference**2)) / (np.sqrt(np.mean(wanted**2)) + _TINY))


def _output_agrees(candidate: Array, reference: Array) -> bool:
    if candidate.shape != reference.shape:
        return False
    if reference.size == 0:
        return True
    if not np.issubdtype(reference.dtype, np.floating):
        return bool(np.array_equal(candidate, reference))
    if not np.isfinite(candidate).all():
        return False
    if reference.ndim == _LOGITS_RANK and reference.shape[1] > 1:
        return bool((candidate.argmax(axis=1) == reference.argmax(axis=1)).all())
    return relative_rms(candidate, reference) <= RELATIVE_RMS_MAX
