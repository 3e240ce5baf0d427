"""What a teacher said to a lesson's examples, kept in memory for the next student of it.

A search teaches many students the same lesson, and asking the teacher takes as long as an epoch of
a small one. One lesson is kept at a time, its hidden states as far as they fit.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from torch import Tensor

States = list[npt.NDArray[np.float16]]
"""One array an example, `[tokens, width]`."""


class Remembered:
    """Answers by the name of the teacher's module that gave them."""

    def __init__(self) -> None:
        self.logits: Tensor | None = None
        self._states: dict[str, States] = {}

    def states(self, name: str) -> States | None:
        """Of this module; None where they are not known."""
        found = self._states.pop(name, None)
        if found is not None:
            self._states[name] = found  # the last one asked for is the last one to go
        return found

    def keep(self, states: dict[str, States], most_bytes: int) -> None:
        """Keep these, and of the others the latest that fit beside them."""
        self._states |= states
        while len(self._states) > len(states) and self._bytes() > most_bytes:
            self._states.pop(next(iter(self._states)))

    def _bytes(self) -> int:
        return sum(array.nbytes for states in self._states.values() for array in states)


@lru_cache(maxsize=1)
def remembered(lesson: str) -> Remembered:  # noqa: ARG001 -- what it is remembered by
    """What is known of the lesson of this digest; asking for another forgets it."""
    return Remembered()
