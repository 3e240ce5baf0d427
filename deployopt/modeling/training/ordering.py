"""Which examples go together in an epoch: a function of the seed and the epoch alone.

In: the length of every example, the batch, seed and epoch. Out: all positions, each once, those of
like length near one another, so that little is padded. Nothing here needs torch.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

_TOGETHER: Final = 50
"""Batches that are sorted by length among themselves."""


def epoch_order(lengths: Sequence[int], batch: int, *, seed: int, epoch: int) -> list[int]:
    """The positions in the order of training."""
    random = np.random.default_rng((seed, epoch))
    shuffled = random.permutation(len(lengths))
    if len(set(lengths)) <= 1:
        return [int(at) for at in shuffled]
    size = batch * _TOGETHER
    sizes = np.asarray(lengths)
    batches: list[list[int]] = []
    for start in range(0, len(shuffled), size):
        part = shuffled[start : start + size]
        part = part[np.argsort(-sizes[part], kind="stable")]
        batches += [part[at : at + batch].tolist() for at in range(0, len(part), batch)]
    # The short batch stays last: every other one is full.
    last = [batches.pop()] if len(batches[-1]) < batch else []
    mixed = [batches[at] for at in random.permutation(len(batches)).tolist()]
    return [at for rows in (*mixed, *last) for at in rows]
