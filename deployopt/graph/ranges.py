"""The range of a value seen bit by bit: exact extremes, and a histogram of fixed size.

Memory does not grow with what is seen. The histogram spans [-reach, reach]; when a value lies
beyond, `reach` doubles and pairs of bins become one, so nothing has to be seen twice.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

BINS: Final = 4096
MOST_PER_UPDATE: Final = 2**16
"""Of larger arrays the histogram takes every k-th element; the extremes are always exact."""


Counts = npt.NDArray[np.int64]
Edges = npt.NDArray[np.float64]


class RunningRange:
    """Feed it arrays; ask it for a range."""

    def __init__(self) -> None:
        self.lowest = np.inf
        self.highest = -np.inf
        self.reach = 0.0
        self.zeros = 0
        self.counts: npt.NDArray[np.int64] = np.zeros(BINS, np.int64)

    def update(self, values: npt.NDArray[np.float32]) -> None:
        """Take in an array of any shape; raises ValueError if a number is not finite."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("not finite")
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        self._grow(max(abs(low), abs(high)))
        flat = values.reshape(-1)[:: -(-values.size // MOST_PER_UPDATE)]
        if self.reach > 0:
            places = (flat / np.float64(self.reach) + 1.0) * (BINS / 2)
            places = np.clip(places.astype(np.int64), 0, BINS - 1)
        else:
            places = np.full(flat.size, BINS // 2)
        self.counts += np.bincount(places, minlength=BINS)
        self.zeros += int(flat.size - np.count_nonzero(flat))

    def histogram(self) -> tuple[Counts, Edges]:
        """Counts without the values that are exactly 0, and the BINS + 1 edges between them.

        Zeros lose nothing by quantizing, and after a Relu they would outweigh all others.
        """
        counts = self.counts.copy()
        counts[BINS // 2] -= self.zeros
        return counts, np.linspace(-self.reach, self.reach, BINS + 1)

    def range(self, percentile: float = 100.0) -> tuple[float, float]:
        """Lowest and highest value, less the share beyond `percentile` percent, halved by side."""
        if percentile >= 100.0 or self.reach == 0.0:  # noqa: PLR2004 percent
            return self.lowest, self.highest
        total = np.cumsum(self.counts)
        tail = total[-1] * (100.0 - percentile) / 200.0
        first = int(np.searchsorted(total, tail, side="right"))
        last = int(np.searchsorted(total, total[-1] - tail, side="left"))
        width = 2 * self.reach / BINS
        low, high = first * width - self.reach, (last + 1) * width - self.reach
        return max(self.lowest, low), min(self.highest, high)

    def _grow(self, largest: float) -> None:
        if self.reach == 0.0:
            self.reach = largest
            if largest > 0.0:
                # What was seen before was all zero, and stands in the middle.
                return
        while self.reach and largest > self.reach:
            inner = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(BINS, np.int64)
            self.counts[BINS // 4 : BINS // 4 + BINS // 2] = inner
            self.reach *= 2
