"""Examples as torch data sets: read, augmented and padded together when they are asked for."""

from collections.abc import Iterator, Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from deployopt.core.interface import ImageInputs, Interface, TextInputs
from deployopt.core.samples import Feed
from deployopt.modeling.dummies import pad_together
from deployopt.modeling.training.augmenting import augmented
from deployopt.modeling.training.job import Labelled, Labels
from deployopt.modeling.training.ordering import epoch_order


class Row(TypedDict):
    """One example: its feed and its class."""

    feed: Feed
    label: int


class Epoch:
    """Which epoch it is, for the order and the augmentation; the trainer's callback sets it."""

    def __init__(self) -> None:
        self.number = 0


class Rows(Dataset[Row]):  # type: ignore[misc] # torch is not followed
    """Examples by position."""

    def __init__(self, examples: Labelled, labels: Labels, epoch: Epoch, seed: int | None) -> None:
        """`seed`: of the augmentation, None where there is none."""
        self.examples = examples
        self.labels = labels
        self.epoch = epoch
        self.seed = seed

    def __len__(self) -> int:
        return len(self.examples.classes)

    def __getitem__(self, at: int) -> Row:
        example = self.examples.inputs[at]
        inputs = self.labels.interface.inputs
        if self.seed is not None and isinstance(inputs, TextInputs | ImageInputs):
            random = np.random.default_rng((self.seed, self.epoch.number, at))
            example = augmented(example, inputs, random)
        return Row(feed=self.labels.encode(example), label=self.examples.classes[at])


class Order(Sampler[int]):  # type: ignore[misc] # torch is not followed
    """The positions of one epoch after another."""

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, epoch: Epoch) -> None:
        self.lengths = lengths
        self.batch = batch
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self.lengths, self.batch, seed=self.seed, epoch=self.epoch.number))


class Together:
    """Rows as one batch of named tensors."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """The model's inputs, and `labels`."""
        arrays = pad_together([row["feed"] for row in rows], self.interface)
        named = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return {**named, "labels": torch.tensor([row["label"] for row in rows])}
