"""Where no way of training that was asked for fits: which would, one sentence each.

Every sentence was computed: the change was tried, and with it the whole band fits.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.fit import Use
from deployopt.core.memory import Method, Optimizer, Sharding, Training
from deployopt.core.request import FitRequest
from deployopt.core.target import Target
from deployopt.planning.fitting.giving_up import other_targets
from deployopt.planning.fitting.searching import largest
from deployopt.planning.memory.training import training_need
from deployopt.planning.usable import card_count, fits_inside, shown_need

_CARDS_MAX: Final = 64
_ADAPTERS: Final = (Method.LORA, Method.QLORA)


def give_up_training(
    request: FitRequest, architecture: Architecture, uses: tuple[Use, ...]
) -> tuple[str, ...]:
    """Smaller steps, leaner methods, more cards of the kind, another target."""
    ways = [use.training for use in uses if use.training is not None]
    if not ways:
        return ()
    leanest = min(zip(uses, ways, strict=True), key=lambda pair: pair[0].need.total.value)[1]
    found = (
        *_leaner_steps(architecture, request.target, leanest),
        *_leaner_methods(architecture, request.target, ways),
        *_more_cards(architecture, request.target, ways[0]),
        *other_targets(request.target, lambda other: _elsewhere(architecture, other, ways)),
    )
    return found or (_nothing(architecture, request.target, leanest),)


def _nothing(architecture: Architecture, target: Target, way: Training) -> str:
    need = shown_need(_total(architecture, way, target))
    return (
        f"No shipped target holds it: the leanest of these ways, {_words(way)} at batch "
        f"{way.batch}, needs {need} on a device. A smaller model of its kind would do."
    )


def _leaner_steps(architecture: Architecture, target: Target, way: Training) -> Iterable[str]:
    """A smaller batch, shorter examples, checkpointing: each alone, then all together."""
    one = msgspec.structs.replace(way, batch=1)
    recomputed = msgspec.structs.replace(way, checkpointing=True)
    short = _shortest(architecture, target, way)
    for words, tried in (
        (f"Batch 1 instead of {way.batch}", one),
        ("Activation checkpointing", recomputed),
        (f"Examples of {short or 0:,} tokens instead of {way.length:,}", _cut(way, short)),
        ("Batch 1 and checkpointing", msgspec.structs.replace(one, checkpointing=True)),
    ):
        need = _total(architecture, tried, target)
        if tried != way and fits_inside(need, target):
            yield f"{words}: {way.method} then needs {shown_need(need)}."


def _shortest(architecture: Architecture, target: Target, way: Training) -> int | None:
    return largest(
        lambda length: fits_inside(_total(architecture, _cut(way, length), target), target),
        way.length,
    )


def _cut(way: Training, length: int | None) -> Training:
    return way if length is None else msgspec.structs.replace(way, length=length)


def _leaner_methods(
    architecture: Architecture, target: Target, ways: list[Training]
) -> Iterable[str]:
    """8-bit Adam, with bf16 alone if need be, and adapters: where they were not asked about."""
    tried = {(way.method, way.optimizer, way.pure) for way in ways}
    first = ways[0]
    small = msgspec.structs.replace(first, optimizer=Optimizer.ADAMW_8BIT)
    candidates = [small]
    if first.precision is Precision.BF16 and first.method is Method.FULL:
        candidates.append(msgspec.structs.replace(small, pure=True))
    if architecture.stacks:
        candidates += [msgspec.structs.replace(first, method=method) for method in _ADAPTERS]
    for way in candidates:
        need = _total(architecture, way, target)
        if (way.method, way.optimizer, way.pure) not in tried and fits_inside(need, target):
            yield f"{_words(way)}: it needs {shown_need(need)}."


def _more_cards(architecture: Architecture, target: Target, way: Training) -> Iterable[str]:
    """As many of this card as FSDP needs."""
    gpu = target.hardware.gpu
    if gpu is None or target.runtime.provider == "cpu":
        return
    for cards in range(max(2, card_count(target) + 1), _CARDS_MAX + 1):
        tried = msgspec.structs.replace(way, devices=cards, sharding=Sharding.FSDP)
        need = _total(architecture, tried, target)
        if fits_inside(need, target):
            yield (
                f"{_words(way)} by FSDP over {cards} x {gpu.model}: each needs {shown_need(need)}."
            )
            return


def _elsewhere(architecture: Architecture, other: Target, ways: list[Training]) -> str | None:
    """The fullest of the ways that fits there, over all its GPUs."""
    if other.runtime.provider == "cpu":
        return None
    cards = card_count(other)
    for way in ways:
        sharding = Sharding.FSDP if cards > 1 else Sharding.NONE
        tried = msgspec.structs.replace(way, devices=cards, sharding=sharding)
        need = _total(architecture, tried, other)
        if fits_inside(need, other):
            where = f" by FSDP over {cards} GPUs, each" if cards > 1 else ","
            return f"{_words(way).lower()}{where} {shown_need(need)}"
    return None


def _words(way: Training) -> str:
    names = {
        Method.FULL: "Full training",
        Method.FREEZE: "Training the upper layers",
        Method.LORA: "LoRA",
        Method.QLORA: "QLoRA",
        Method.PREFIX: "Prefix tuning",
    }
    adam = " with 8-bit Adam" if way.optimizer is Optimizer.ADAMW_8BIT else ""
    alone = f" in {way.precision} alone" if way.pure else ""
    return names[way.method] + alone + adam


def _total(architecture: Architecture, way: Training, target: Target) -> Estimate:
    return training_need(architecture, way, target=target).total
