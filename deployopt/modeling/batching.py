"""Which examples go through a model together: those of like length, so that little is padding."""

from collections.abc import Iterator, Sequence

import numpy as np

from deployopt.core.errors import StepError
from deployopt.core.interface import ImageInputs, Interface, TextInputs
from deployopt.core.samples import Feed

MASK = "attention_mask"
_JITTER = 2.0


def batches(feeds: Sequence[Feed], interface: Interface, batch: int) -> Iterator[list[int]]:
    """Rows that go together, shortest first; of equal length where the model has no mask."""
    lengths, equal_only = _lengths(feeds, interface)
    order = sorted(range(len(feeds)), key=lambda row: (lengths[row], row))
    return _groups(order, lengths, batch, equal_only=equal_only)


def shuffled_batches(
    feeds: Sequence[Feed], interface: Interface, batch: int, random: np.random.Generator
) -> list[list[int]]:
    """The same in random order, and not the same neighbours every time."""
    lengths, equal_only = _lengths(feeds, interface)
    jitter = random.random(len(feeds)) * (1.0 if equal_only else _JITTER)
    order = [int(row) for row in np.argsort(np.asarray(lengths) + jitter, kind="stable")]
    groups = list(_groups(order, lengths, batch, equal_only=equal_only))
    return [groups[at] for at in random.permutation(len(groups)).tolist()]


def _lengths(feeds: Sequence[Feed], interface: Interface) -> tuple[list[int], bool]:
    match interface.inputs:
        case TextInputs(input_names=names):
            return [feed["input_ids"].shape[1] for feed in feeds], MASK not in names
        case ImageInputs():
            return [0] * len(feeds), False
        case _:
            raise StepError("A model in Hugging Face form takes texts or images.")


def _groups(
    order: Sequence[int], lengths: Sequence[int], batch: int, *, equal_only: bool
) -> Iterator[list[int]]:
    group: list[int] = []
    for row in order:
        full = len(group) == batch
        if group and (full or (equal_only and lengths[group[0]] != lengths[row])):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
