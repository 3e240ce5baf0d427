"""The moving average of the trained weights, which often answers better than the last ones.

Each update moves it by `1 - decay` towards the weights; at first by more, so that the random start
of a head is soon forgotten (as in TensorFlow's ExponentialMovingAverage).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn

_SHARE_OF_RUN: Final = 10
_STEPS_MIN: Final = 10


def decay_for(steps: int) -> float:
    """Of an average over about the last tenth of so many steps."""
    return 1 - 1 / max(_STEPS_MIN, steps / _SHARE_OF_RUN)


class Average:
    """One averaged tensor beside each trained weight."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = {n: w for n, w in module.named_parameters() if w.requires_grad}
        self.tensors = {name: weight.detach().clone() for name, weight in self._live.items()}

    def update(self) -> None:
        """Take in the weights as they are after a step."""
        self.updates += 1
        keep = min(self.decay, self.updates / (_STEPS_MIN + self.updates))
        with torch.no_grad():
            for name, weight in self._live.items():
                self.tensors[name].lerp_(weight, 1 - keep)

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Go on from what was kept."""
        self.updates = updates
        for name, tensor in tensors.items():
            self.tensors[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average stands where the weights do, for a while."""
        own = {name: weight.detach().clone() for name, weight in self._live.items()}
        with torch.no_grad():
            for name, weight in self._live.items():
                weight.copy_(self.tensors[name])
        try:
            yield
        finally:
            with torch.no_grad():
                for name, weight in self._live.items():
                    weight.copy_(own[name])
