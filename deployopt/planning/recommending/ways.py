"""A method of training at work on a target: the arrangement that fits and what it takes.

In: an architecture, a target, a method. Out: batch, checkpointing and sharding as
`best_training` finds them from computed memory, with the rank of adapters put in.
"""

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.memory import MemoryNeed, Method, Training
from deployopt.core.standing import Standing, standing_between
from deployopt.core.target import Target
from deployopt.planning.fitting.training import best_training
from deployopt.planning.memory import training_need
from deployopt.planning.usable import card_count, usable_bytes


class Way(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One arrangement and what it takes of one device."""

    training: Training
    need: MemoryNeed
    available_bytes: float
    standing: Standing


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`batch` examples an update over all devices, `length` tokens each."""

    method: Method
    length: int
    batch: int
    rank: int


def way_for(architecture: Architecture, target: Target, asked: Asked) -> Way:
    """The largest part of the batch that fits at once; the rest is accumulated."""
    found, _, _ = best_training(
        architecture,
        target,
        method=asked.method,
        length=asked.length,
        batch_max=max(1, asked.batch // card_count(target)),
    )
    way = _taken(architecture, target, msgspec.structs.replace(found, rank=asked.rank))
    # The arrangement was found at the usual rank; a higher one may leave less for the batch.
    while way.standing is not Standing.INSIDE and way.training.batch > 1:
        fewer = msgspec.structs.replace(way.training, batch=way.training.batch // 2)
        way = _taken(architecture, target, fewer)
    return way


def _taken(architecture: Architecture, target: Target, training: Training) -> Way:
    need = training_need(architecture, training, target=target)
    available = usable_bytes(target)
    return Way(
        training=training,
        need=need,
        available_bytes=available,
        standing=standing_between(need.total.lower, need.total.upper, available),
    )
