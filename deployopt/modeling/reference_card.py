"""A reference is worked out on the first card that torch sees, or else on the CPU.

In: a module in float32 on the CPU, and what to ask it. Out: the answers, and where they were worked
out. The arithmetic on a card is float32's, as on a CPU: TF32 off for products and convolutions,
cuDNN's deterministic kernels only, none chosen by time. Sums go another way there, so that answers
differ in their last bits, as they do between processors of different instructions; they may also by
the size of a batch, which is by what is free. Either is the reference: the gate pairs a candidate
with whichever was worked out, once, and the bundle keeps just these answers. So the store keeps
them by where they were worked out, and asks nothing anew that it has of either
(pipeline/references.py).

Where the card is too small or its memory runs out, all of it is worked out on the CPU, and that is
said; never a part of it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import torch
from torch import nn

from deployopt.core.units import Dimension, show_quantity
from deployopt.core.worked import Worked

CPU: Final = torch.device("cpu")
BATCH_MAX: Final = 256
_RESERVE: Final = 2**30
"""Beside the weights: what CUDA's libraries take, and the least to work in; bytes."""
_SHARE: Final = 0.5
"""Of what is free, what a batch may be expected to take."""
_WORKSPACE: Final = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""Has to be set before the first product: without it cuBLAS may sum in another order each time."""
_EXHAUSTED: Final = ("out of memory", "ALLOC_FAILED")

Found = TypeVar("Found")
Rows = list[int]


class Card:
    """A card as torch has it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def free_bytes(self) -> int:
        """Of its memory, with what torch keeps of it for later."""
        kept = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(torch.cuda.mem_get_info(self.device)[0] + kept)

    def begin(self) -> None:
        """From here on the peak counts."""
        torch.cuda.reset_peak_memory_stats(self.device)

    def peak_bytes(self) -> int:
        """The most that was had since, beyond what is had now."""
        most = torch.cuda.max_memory_allocated(self.device)
        return int(most - torch.cuda.memory_allocated(self.device))

    def release(self) -> None:
        """Give back what is not in use: others measure on this card."""
        torch.cuda.empty_cache()


class Place:
    """Where a module is while it is asked."""

    def __init__(self, card: Card | None = None) -> None:
        self._card = card
        self.device = CPU if card is None else card.device

    def ask(
        self,
        rows: Sequence[int],
        split: Callable[[Sequence[int], int], list[Rows]],
        batch: int,
        ask: Callable[[Rows], None],
    ) -> None:
        """Ask all rows, in the groups of up to `batch` that `split` makes of them.

        On a card the last group comes first, which is the one of the longest texts: what it takes
        tells how many may go together, and half as many do where memory runs out.
        """
        if self._card is None:
            for group in split(rows, batch):
                ask(group)
            return
        groups, size, known = split(rows, batch), batch, False
        while groups:
            wanted = self._asked(self._card, groups[-1], ask)
            if wanted is None:
                size, known = max(1, len(groups[-1]) // 2), True
            else:
                groups.pop()
                if known:
                    continue
                size, known = max(size, wanted), True
            groups = split([row for group in groups for row in group], size)

    @staticmethod
    def _asked(card: Card, group: Rows, ask: Callable[[Rows], None]) -> int | None:
        """How many may go together by what this group took; None where memory did not do."""
        card.begin()
        try:
            ask(group)
        except RuntimeError as error:
            if len(group) == 1 or not exhausted(error):
                raise
        else:
            each = max(1, card.peak_bytes() // len(group))
            return min(BATCH_MAX, int(card.free_bytes() * _SHARE) // each)
        card.release()
        return None


def first_card() -> Card | None:
    """The first one of CUDA's order; None where torch sees none, or was built for other cards."""
    found = torch.version.cuda is not None and torch.cuda.is_available()
    return Card(torch.device("cuda", 0)) if found else None


def worked_out(
    module: nn.Module, work: Callable[[Place], Found], worked: Worked | None = None
) -> Found:
    """What `work` finds, which asks the module where it is given it to be.

    The module is on the CPU again afterwards.
    """
    card = first_card()
    if card is None:
        return work(Place())
    noted = Worked() if worked is None else worked
    noted.note = _too_small(card, module)
    if not noted.note:
        found = _on_card(card, module, work)
        if found is not None:
            noted.on_card = True
            return found[0]
        noted.note = (
            "The card's memory ran out over the reference, which was worked out on the CPU instead."
        )
    return work(Place())


def exhausted(error: RuntimeError) -> bool:
    """Whether memory ran out; libraries beside torch say so in words only."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        word in str(error) for word in _EXHAUSTED
    )


@contextmanager
def plain_float32() -> Iterator[None]:
    """Products and convolutions on a card as float32 has them, by the same kernels each time."""
    os.environ.setdefault(*_WORKSPACE)
    products, layers = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, layers.allow_tf32, layers.deterministic, layers.benchmark
    products.allow_tf32 = layers.allow_tf32 = layers.benchmark = False
    layers.deterministic = True
    try:
        yield
    finally:
        products.allow_tf32, layers.allow_tf32, layers.deterministic, layers.benchmark = before


def _on_card(card: Card, module: nn.Module, work: Callable[[Place], Found]) -> tuple[Found] | None:
    """None where memory ran out."""
    try:
        with plain_float32():
            return (work(Place(_moved(card, module))),)
    except RuntimeError as error:
        if not exhausted(error):
            raise
        return None
    finally:
        module.to(CPU)
        card.release()


def _moved(card: Card, module: nn.Module) -> Card:
    module.to(card.device)
    return card


def _too_small(card: Card, module: nn.Module) -> str:
    """Why the module is not put on the card; empty where it may be."""
    tensors = (*module.parameters(), *module.buffers())
    needed = sum(one.numel() * one.element_size() for one in tensors) + _RESERVE
    free = card.free_bytes()
    if needed <= free:
        return ""
    shown = [show_quantity(float(size), Dimension.SIZE, 2) for size in (needed, free)]
    return (
        f"The reference takes {shown[0]} or more on a card, of which {shown[1]} are free; it was "
        "worked out on the CPU."
    )
