"""The teacher, asked once: its logits for every example, and its hidden states while they fit.

Hidden states are kept as float16, by example and at real lengths; where they would take more
memory than allowed the teacher is asked again, batch by batch.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from deployopt.core.interface import Interface
from deployopt.core.samples import Feed
from deployopt.modeling.batching import MASK, batches
from deployopt.modeling.distilling.remembered import Remembered
from deployopt.modeling.distilling.stages import as_tokens
from deployopt.modeling.hooks import outputs_of
from deployopt.modeling.pixels import batch_of
from deployopt.modeling.wrapping import input_names

_BATCH: Final = 64
_HALF: Final = 2


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """For one batch: logits, and by name what the watched modules gave."""

    logits: Tensor
    states: dict[str, Tensor]


def inputs_of(
    feeds: Sequence[Feed], rows: Sequence[int], interface: Interface
) -> dict[str, Tensor]:
    """One padded batch."""
    together = batch_of([feeds[row] for row in rows], interface)
    return {name: torch.from_numpy(together[name]) for name in input_names(interface)}


class Teacher:
    """Answers for the rows of `feeds`."""

    def __init__(
        self,
        model: PreTrainedModel,
        parts: dict[str, nn.Module],
        feeds: Sequence[Feed],
        interface: Interface,
        cache_bytes: int,
        known: Remembered | None = None,
    ) -> None:
        self._model, self._parts = model.eval(), parts
        self._known = Remembered() if known is None else known
        self._cache_bytes = cache_bytes
        names = {id(module): name for name, module in model.named_modules()}
        self._names = {part: names[id(module)] for part, module in parts.items()}
        self._feeds, self._interface = feeds, interface
        self._cached = self._bytes() <= cache_bytes
        self._states: dict[str, list[npt.NDArray[np.float16]]] = {}
        self.logits = torch.empty(0)

    def answer_all(self, progress: Callable[[float], None]) -> None:
        """Ask for everything that is kept and not known yet."""
        if self._recall():
            return
        count = len(self._feeds)
        answers: list[Tensor] = [torch.empty(0)] * count
        empty = np.empty((0, 0), np.float16)
        self._states = {name: [empty] * count for name in self._parts}
        done = 0
        for rows in batches(self._feeds, self._interface, _BATCH):
            targets = self._ask(rows)
            for place, row in enumerate(rows):
                answers[row] = targets.logits[place]
            if self._cached:
                self._keep(rows, targets.states)
            done += len(rows)
            progress(done / count)
        self.logits = self._known.logits = torch.stack(answers)
        if self._cached:
            named = {self._names[part]: states for part, states in self._states.items()}
            self._known.keep(named, self._cache_bytes)

    def _recall(self) -> bool:
        """Whether another student was told all of it before."""
        logits = self._known.logits
        if logits is None or len(logits) != len(self._feeds):
            return False
        if self._cached:
            found = {part: self._known.states(name) for part, name in self._names.items()}
            states = {part: known for part, known in found.items() if known is not None}
            if len(states) < len(found):
                return False
            self._states = states
        self.logits = logits
        return True

    def targets(self, rows: Sequence[int]) -> Targets:
        """What the teacher says to these rows; states are padded as the batch is."""
        if not self._parts:
            return Targets(logits=self.logits[list(rows)], states={})
        if not self._cached:
            return self._ask(rows)
        states = {name: _padded([kept[row] for row in rows]) for name, kept in self._states.items()}
        return Targets(logits=self.logits[list(rows)], states=states)

    def _keep(self, rows: Sequence[int], states: dict[str, Tensor]) -> None:
        for name, values in states.items():
            halves = values.to(torch.float16).numpy()
            for place, row in enumerate(rows):
                self._states[name][row] = halves[place, : self._length(row, values)].copy()

    def _length(self, row: int, values: Tensor) -> int:
        feed = self._feeds[row]
        return int(feed["input_ids"].shape[1]) if "input_ids" in feed else int(values.shape[1])

    def _ask(self, rows: Sequence[int]) -> Targets:
        inputs = inputs_of(self._feeds, rows, self._interface)
        with torch.no_grad(), outputs_of(self._parts) as states:
            logits = self._model(**inputs, return_dict=False)[0]
        return Targets(
            logits=logits, states={name: as_tokens(state) for name, state in states.items()}
        )

    def _bytes(self) -> float:
        """What the states would take; images take as many tokens as the first one has."""
        if not self._parts or not len(self._feeds):
            return 0
        states = self._ask([0]).states.values()
        if "input_ids" in self._feeds[0]:
            tokens = sum(feed["input_ids"].shape[1] for feed in self._feeds)
            return float(tokens * sum(state.shape[2] for state in states) * _HALF)
        each = sum(state.shape[1] * state.shape[2] for state in states)
        return float(each * len(self._feeds) * _HALF)


def real_tokens(inputs: dict[str, Tensor], like: Tensor) -> Tensor:
    """1 for a token and 0 for padding, `[batch, tokens]`, as `like` has them; all of an image's."""
    mask = inputs.get(MASK)
    return torch.ones(like.shape[:2]) if mask is None else mask.to(torch.float32)


def _padded(rows: list[npt.NDArray[np.float16]]) -> Tensor:
    longest = max(row.shape[0] for row in rows)
    together = np.zeros((len(rows), longest, rows[0].shape[1]), np.float32)
    for at, row in enumerate(rows):
        together[at, : row.shape[0]] = row
    return torch.from_numpy(together)
