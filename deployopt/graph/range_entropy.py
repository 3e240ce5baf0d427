"""The range of least information lost: values beyond a threshold go to its edge.

A histogram goes in; lowest and highest come out. For each threshold the histogram within it, with
the outliers in its outer bins (P), is compared with the same merged into as many levels as 8 bits
have and spread evenly over the bins that were not empty (Q); the least Kullback-Leibler divergence
of P from Q wins. The method of TensorRT's calibrator (Migacz, "8-bit inference with TensorRT",
GTC 2017), over the range as it is used: both sides of 0 where both were seen.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from deployopt.graph.ranges import Counts, Edges

LEVELS: Final = 256
STRIDE: Final = 4
"""Bins between two thresholds that are tried."""
_SMOOTHING: Final = 1e-4
Shares = npt.NDArray[np.float64]


def least_loss_range(
    counts: Counts, edges: Edges, lowest: float, highest: float
) -> tuple[float, float]:
    """The range for `counts` between `edges`, never wider than what was seen."""
    windows = _windows(counts, edges, lowest, highest)
    if not windows:
        return lowest, highest
    losses = [divergence(counts, first, last, LEVELS) for first, last in windows]
    # Of equals the widest: a few values alone lose nothing anywhere.
    first, last = windows[len(losses) - 1 - int(np.argmin(losses[::-1]))]
    return max(lowest, float(edges[first])), min(highest, float(edges[last]))


def divergence(counts: Counts, first: int, last: int, levels: int) -> float:
    """Of the bins from `first` up to `last`, outliers at their edges, from their merged form.

    In nats; infinite where all are outliers.
    """
    inside = counts[first:last].astype(np.float64)
    if not inside.any():
        return np.inf
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last:].sum()
    level = np.arange(len(inside)) * min(levels, len(inside)) // len(inside)
    filled = reference > 0
    merged = np.bincount(level, inside)
    bins = np.bincount(level, filled)
    spread = np.divide(merged, bins, out=np.zeros_like(merged), where=bins > 0)
    return _kullback_leibler(reference, np.where(filled, spread[level], 0.0))


def _windows(counts: Counts, edges: Edges, lowest: float, highest: float) -> list[tuple[int, int]]:
    """First and last bin of each window: out from 0 on the sides that were seen."""
    if not counts.any():
        return []
    middle = len(counts) // 2
    low = middle - int(np.searchsorted(edges, min(lowest, 0.0), side="right") - 1)
    high = int(np.searchsorted(edges, max(highest, 0.0), side="left")) - middle
    farthest = max(low, high)
    least = LEVELS if min(low, high) == 0 else LEVELS // 2
    reaches = sorted({*range(least, farthest, STRIDE), farthest})
    return [(middle - min(low, reach), middle + min(high, reach)) for reach in reaches]


def _kullback_leibler(reference: Shares, other: Shares) -> float:
    """Where the other has nothing, a little is put so that the sum stays finite."""
    filled = reference > 0
    given, found = reference[filled], np.maximum(other[filled], _SMOOTHING)
    p, q = given / given.sum(), found / found.sum()
    return float(np.sum(p * np.log(p / q)))
