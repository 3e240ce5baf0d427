"""The best weights so far, when to stop for want of better ones, and all of it in files.

Better is more right on the validation split; at equal accuracy, and of language models, less loss.
Only what training moves is kept: weights with gradients, and buffers such as running means.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from deployopt.core.training import Evaluation
from deployopt.modeling.training.averaging import Average

BEST: Final = "best.safetensors"
AVERAGE: Final = "average.safetensors"
NOTES: Final = "kept.json"


class _Notes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    evaluations: tuple[Evaluation, ...]
    without_gain: int
    updates: int


class Keeper:
    """Told of each evaluation while the evaluated weights stand in the module."""

    def __init__(self, module: nn.Module, patience: int, average: Average | None) -> None:
        self.evaluations: list[Evaluation] = []
        self.average = average
        self._module = module
        # Now: in gradual unfreezing they have gradients by turns.
        self._trained = {name for name, w in module.named_parameters() if w.requires_grad}
        self._patience = patience
        self._without_gain = 0
        self._best: dict[str, Tensor] = {}

    @property
    def over(self) -> bool:
        """Whether so many evaluations in a row brought nothing better."""
        return 0 < self._patience <= self._without_gain

    @property
    def best(self) -> Evaluation:
        """The evaluation of the weights that are kept."""
        return next(one for one in reversed(self.evaluations) if one.best)

    def see(
        self, *, step: int, epoch: float, loss: float, accuracy: float | None, counts: bool = True
    ) -> None:
        """Keep the weights if they are the best so far; `counts`: whether to be patient with it."""
        before = [one for one in self.evaluations if one.best]
        gained = not before or (accuracy or 0.0, -loss) > (
            before[-1].accuracy or 0.0,
            -before[-1].loss,
        )
        self._without_gain = 0 if gained or not counts else self._without_gain + 1
        self.evaluations.append(
            Evaluation(step=step, epoch=epoch, loss=loss, accuracy=accuracy, best=gained)
        )
        if gained:
            self._best = {k: v.detach().cpu().clone() for k, v in self._moved().items()}

    def put_back(self) -> None:
        """The best weights into the module."""
        with torch.no_grad():
            for name, tensor in self._moved().items():
                tensor.copy_(self._best[name])

    def save(self, folder: Path) -> None:
        """Beside a checkpoint's own files."""
        if self._best:
            save_file({name: t.contiguous() for name, t in self._best.items()}, folder / BEST)
        if self.average is not None:
            averaged = {name: t.cpu().contiguous() for name, t in self.average.tensors.items()}
            save_file(averaged, folder / AVERAGE)
        notes = _Notes(
            evaluations=tuple(self.evaluations),
            without_gain=self._without_gain,
            updates=self.average.updates if self.average else 0,
        )
        (folder / NOTES).write_bytes(msgspec.json.encode(notes))

    def load(self, folder: Path) -> None:
        """Go on where a checkpoint was."""
        notes = msgspec.json.decode((folder / NOTES).read_bytes(), type=_Notes)
        self.evaluations = list(notes.evaluations)
        self._without_gain = notes.without_gain
        if (folder / BEST).exists():
            self._best = load_file(folder / BEST)
        if self.average is not None:
            self.average.restore(load_file(folder / AVERAGE), notes.updates)

    def _moved(self) -> Mapping[str, Tensor]:
        trained = {n: w for n, w in self._module.named_parameters() if n in self._trained}
        return {**trained, **dict(self._module.named_buffers())}
