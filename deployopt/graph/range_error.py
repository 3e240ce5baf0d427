"""The range of least squared error: what rounding costs inside it against what clipping costs.

A histogram goes in; lowest and highest of a range that holds 0 come out. Rounding to steps of
width d costs d**2 / 12 a value, clipping x to the edge e costs (x - e)**2. Pairs of every 16th
edge are tried, and then all of those around the best pair.
"""

from typing import Final

import numpy as np

from deployopt.graph.ranges import Counts, Edges

STEPS: Final = 255
"""Between the lowest and the highest of 256 unsigned 8-bit numbers."""
COARSE: Final = 16


def least_error_range(
    counts: Counts, edges: Edges, lowest: float, highest: float
) -> tuple[float, float]:
    """The range for `counts` between `edges`, never wider than what was seen."""
    if not counts.any():
        return lowest, highest
    lows, highs = _candidates(edges, lowest, highest)
    low, high = _best(counts, edges, lows[::-COARSE], highs[::-COARSE])
    return _best(counts, edges, _around(lows, low), _around(highs, high))


def squared_errors(counts: Counts, edges: Edges, lows: Edges, highs: Edges) -> Edges:
    """Summed squared error `[low, high]`, each bin's values taken to stand at its middle."""
    middles = (edges[:-1] + edges[1:]) / 2
    inside = np.concatenate(([0.0], np.cumsum(counts)))
    first, last = (np.searchsorted(middles, side) for side in (lows, highs))
    kept = np.maximum(inside[last][None, :] - inside[first][:, None], 0.0)
    width = (highs[None, :] - lows[:, None]) / STEPS
    below = _clipped(counts, middles, lows)
    above = _clipped(counts[::-1], -middles[::-1], -highs)
    return np.asarray(kept * width**2 / 12 + below[:, None] + above[None, :], np.float64)


def _best(counts: Counts, edges: Edges, lows: Edges, highs: Edges) -> tuple[float, float]:
    error = squared_errors(counts, edges, lows, highs)
    row, column = np.unravel_index(int(np.argmin(error)), error.shape)
    return float(lows[row]), float(highs[column])


def _around(candidates: Edges, found: float) -> Edges:
    at = int(np.searchsorted(candidates, found))
    return candidates[max(0, at - COARSE) : at + COARSE + 1]


def _candidates(edges: Edges, lowest: float, highest: float) -> tuple[Edges, Edges]:
    """Edges of bins inside what was seen, and its own ends; 0 is in every range."""
    low, high = min(lowest, 0.0), max(highest, 0.0)
    within = edges[(edges >= low) & (edges <= high)]
    return np.union1d(within[within <= 0], [low]), np.union1d(within[within >= 0], [high])


def _clipped(counts: Counts, middles: Edges, lows: Edges) -> Edges:
    """For each of `lows`, the squared distances to it of all that lies below, summed."""
    number, total, squares = (
        np.concatenate(([0.0], np.cumsum(counts * middles**power))) for power in (0, 1, 2)
    )
    at = np.searchsorted(middles, lows)
    return np.asarray(squares[at] - 2 * lows * total[at] + lows**2 * number[at], np.float64)
