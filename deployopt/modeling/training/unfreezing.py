"""Gradual unfreezing: the head learns first, then the upper layers with it, then all of it.

A new head gives large and random gradients at first, which would undo what the layers below it know
(Howard and Ruder, 1801.06146, free one layer an epoch; three stages are theirs in short). The
optimizer knows every weight from the start; one without a gradient is left as it is.
"""

from collections.abc import Sequence

from torch import nn

from deployopt.core.memory import Method
from deployopt.core.training import TrainingOptions
from deployopt.modeling.training.methods import trained_names
from deployopt.modeling.training.starting import Start


class Stages:
    """Which weights have gradients in which epochs."""

    def __init__(self, module: nn.Module, stages: Sequence[frozenset[str]], every: int) -> None:
        self._module = module
        self._stages = stages
        self._every = every

    @property
    def last_begins(self) -> int:
        """The epoch, from 0, from which on everything is trained."""
        return (len(self._stages) - 1) * self._every

    def enter(self, epoch: int) -> None:
        """Weights of the stage that this epoch is in get gradients, the others none."""
        at = min(epoch // self._every, len(self._stages) - 1) if self._every else -1
        freed = self._stages[at]
        for name, weight in self._module.named_parameters():
            weight.requires_grad_(name in freed)


def stages_of(start: Start, module: nn.Module, options: TrainingOptions) -> Stages | None:
    """The stages of a run, or None where everything is trained from the start."""
    if not options.unfreeze_every:
        return None
    everything = frozenset(n for n, w in module.named_parameters() if w.requires_grad)
    shares = [0.0] if options.method is Method.FREEZE else [0.0, options.trained_share]
    sets = [trained_names(start, share) & everything for share in shares]
    return Stages(module, (*sets, everything), options.unfreeze_every)
