"""The shape of an encoder and of what is to be left of it; numbers only."""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.errors import StepError

FFN_MULTIPLE: Final = 16
"""Neurons come in these: what the int8 and fp32 kernels of CPUs take at once."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`layers` by their numbers in the whole model; heads and neurons of every layer alike."""

    layers: tuple[int, ...]
    heads: int
    ffn: int


def smaller(
    whole: Shape, *, layers: Sequence[int] = (), heads: float = 1.0, ffn: float = 1.0
) -> Shape:
    """What is left of `whole`: these layers (none named: all), these shares of heads and neurons.

    Neurons are rounded to a multiple of 16, heads to whole ones; at least one of each stays.

    Raises:
        StepError: a layer that is not there, or a share outside 0 to 1.
    """
    kept = tuple(layers) or whole.layers
    if list(kept) != sorted(set(kept)) or not set(kept) <= set(whole.layers):
        raise StepError(
            f"The layers to keep are {', '.join(map(str, kept))}; the model has layers 0 to "
            f"{len(whole.layers) - 1}. Name each once, in rising order."
        )
    for name, share in (("heads", heads), ("ffn", ffn)):
        if not 0 < share <= 1:
            raise StepError(f"The share of {name} to keep is {share}; it is above 0, at most 1.")
    return Shape(
        layers=kept,
        heads=max(1, round(whole.heads * heads)),
        ffn=whole.ffn if ffn == 1 else _rounded(whole.ffn, ffn),
    )


def spread_layers(total: int, kept: int) -> tuple[int, ...]:
    """`kept` of `total` layers, evenly spread from the first on: 0, 2, 4 of six.

    Raises:
        StepError: fewer than one, or more than there are.
    """
    if not 1 <= kept <= total:
        raise StepError(f"{kept} layers cannot be kept of {total}. Keep 1 to {total}.")
    return tuple(at * total // kept for at in range(kept))


def _rounded(ffn: int, share: float) -> int:
    wanted = round(ffn * share / FFN_MULTIPLE) * FFN_MULTIPLE
    return min(ffn, max(FFN_MULTIPLE, wanted))
