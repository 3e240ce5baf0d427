"""How to fine-tune a candidate: which method fits where, from memory that was computed.

In: a candidate, what is wanted, prices. Out: advice, or nothing where there are no examples. Tries
everything at once, then the upper layers (few examples), then adapters, then adapters over 4 bits;
on the target where it can train, else on the cheapest shipped machine that can.
"""

import math
from collections.abc import Iterator
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.evidence import Estimate
from deployopt.core.memory import Method, Training
from deployopt.core.recommendation import TrainingAdvice
from deployopt.core.standing import Standing
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.planning.cost import training_cost, training_hours
from deployopt.planning.cost.prices import Prices
from deployopt.planning.recommending import schedule
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.commands import training_commands
from deployopt.planning.recommending.detectors import trainable
from deployopt.planning.recommending.ours import our_lines
from deployopt.planning.recommending.run import Run
from deployopt.planning.recommending.setting import on_gpu
from deployopt.planning.recommending.sites import elsewhere, hours_allowed, trains
from deployopt.planning.recommending.usual import USUAL
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.recommending.ways import Asked, Way, way_for
from deployopt.planning.recommending.words import duration

ADAPTED: Final = frozenset({ModelTask.TEXT_GENERATION, ModelTask.TEXT_TO_IMAGE})
"""Tasks whose scripts know adapters."""
_UNKNOWN_LENGTH: Final = 512


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One way on one machine: hours and money, where they can be predicted."""

    target: Target
    way: Way
    hours: Estimate | None
    cost: Estimate | None
    currency: str
    dropped: tuple[Way, ...] = ()
    """Fuller methods that did not fit there."""
    instead: str = ""
    """Why it is not the target that was asked about."""


def methods(task: ModelTask, examples: int) -> tuple[Method, ...]:
    """To be tried in this order."""
    adapters = (Method.LORA, Method.QLORA)
    if task in ADAPTED:
        full = (Method.FULL,) if schedule.enough_for_full(task, examples) else ()
        return (*full, *adapters[: 1 if task is ModelTask.TEXT_TO_IMAGE else 2])
    if schedule.enough_for_full(task, examples):
        return (Method.FULL, Method.FREEZE, Method.LORA)
    return (Method.FREEZE, Method.LORA)


def plan_for(candidate: Candidate, wants: Wants, prices: Prices) -> Plan | None:
    """The target's own plan where it trains in time, else the cheapest elsewhere, else None."""
    if wants.examples is None or candidate.architecture is None or not trainable(candidate.entry):
        return None
    own = _on(candidate, wants.target, wants, prices) if trains(wants.target) else None
    if own is not None and _in_time(own):
        return own
    plans = [
        found
        for other in elsewhere(wants.target)
        if (found := _on(candidate, other, wants, prices)) is not None
    ]
    best = min(plans, key=_order, default=None)
    if best is None or (own is not None and _order(own) <= _order(best)):
        return own
    return msgspec.structs.replace(best, instead=_why_not(own, wants))


def _why_not(own: Plan | None, wants: Wants) -> str:
    """Why the target itself does not train."""
    if not trains(wants.target):
        return f"{wants.target.name} is for inference"
    if own is None or own.hours is None:
        return f"no way of training fits {wants.target.name}"
    return f"{wants.target.name} would take {duration(own.hours)}"


def advice_for(
    candidate: Candidate, plan: Plan, wants: Wants, teacher: str | None
) -> TrainingAdvice:
    """The plan with its schedule and command lines."""
    examples = wants.examples or 0
    training = plan.way.training
    run = Run(
        entry=candidate.entry,
        task=wants.task,
        training=training,
        accumulation=accumulation(wants.task, examples, training),
        epochs=schedule.epochs(wants.task, examples),
        learning_rate=schedule.learning_rate(
            wants.task, training.method, candidate.entry.parameters
        ),
        warmup_share=schedule.warmup_share(examples),
        examples=examples,
        cpu=not on_gpu(plan.target),
    )
    ours = our_lines(run, plan.target.name, teacher)
    return TrainingAdvice(
        where=plan.target.name,
        training=training,
        accumulation=run.accumulation,
        epochs=run.epochs,
        learning_rate=run.learning_rate,
        warmup_share=run.warmup_share,
        early_stopping=wants.task is not ModelTask.TEXT_TO_IMAGE,
        augmentation=schedule.augmentation(wants.task, examples),
        distil_from=teacher,
        need=plan.way.need,
        available_bytes=plan.way.available_bytes,
        standing=plan.way.standing,
        hours=plan.hours,
        commands=training_commands(run) if ours is None else ours.lines,
        output="" if ours is None else ours.folder,
        judges="" if ours is None else ours.judges,
    )


def accumulation(task: ModelTask, examples: int, training: Training) -> int:
    """Steps that make the effective batch."""
    wanted = schedule.effective_batch(task, examples)
    return max(1, math.ceil(wanted / (training.batch * training.devices)))


def _on(candidate: Candidate, target: Target, wants: Wants, prices: Prices) -> Plan | None:
    examples = wants.examples or 0
    way, dropped = first_that_fits(tuple(_ways(candidate, target, wants)))
    if way is None:
        return None
    hours = training_hours(
        _shape(candidate, wants.task),
        way.training,
        target=target,
        examples=examples,
        epochs=schedule.epochs(wants.task, examples),
    )
    return Plan(
        target=target,
        way=way,
        hours=hours,
        cost=None if hours is None else training_cost(target, hours, prices),
        currency=prices.currency,
        dropped=dropped,
    )


def first_that_fits(ways: tuple[Way, ...]) -> tuple[Way | None, tuple[Way, ...]]:
    """The fullest that surely fits, else that perhaps does; and the fuller ones."""
    for standing in (Standing.INSIDE, Standing.UNSETTLED):
        for index, way in enumerate(ways):
            if way.standing is standing:
                return way, ways[:index]
    return None, ways


def _ways(candidate: Candidate, target: Target, wants: Wants) -> Iterator[Way]:
    examples = wants.examples or 0
    for method in methods(wants.task, examples):
        asked = Asked(
            method=method,
            length=_length(candidate, wants),
            batch=schedule.effective_batch(wants.task, examples),
            rank=schedule.rank(examples),
        )
        yield way_for(_shape(candidate, wants.task), target, asked)


def _length(candidate: Candidate, wants: Wants) -> int:
    """Tokens of an example: the request, and what is written."""
    length = (wants.trained_length or _UNKNOWN_LENGTH) + (
        USUAL[wants.task].answer if wants.task is ModelTask.TEXT_GENERATION else 0
    )
    return min(length, candidate.entry.context or length)


def _shape(candidate: Candidate, task: ModelTask) -> Architecture:
    """What one example passes; an image that is made in steps is learnt from one of them."""
    shape = candidate.architecture
    if shape is None:
        raise ValueError(f"{candidate.entry.alias} has no shape")
    if task is not ModelTask.TEXT_TO_IMAGE:
        return shape
    read = sum(one.weights * one.count for one in shape.operations)
    steps = max(1.0, read / shape.parameters)
    return msgspec.structs.replace(
        shape,
        operations=tuple(
            msgspec.structs.replace(one, count=max(1, round(one.count / steps)))
            for one in shape.operations
        ),
    )


def _in_time(plan: Plan) -> bool:
    return plan.hours is None or plan.hours.value <= hours_allowed(plan.target)


def _order(plan: Plan) -> tuple[bool, bool, bool, float, float]:
    """Fits surely, within a week, for the least money; then the fewest hours."""
    return (
        plan.way.standing is not Standing.INSIDE,
        not _in_time(plan),
        plan.cost is None,
        plan.cost.value if plan.cost else 0.0,
        plan.hours.value if plan.hours else float("inf"),
    )
