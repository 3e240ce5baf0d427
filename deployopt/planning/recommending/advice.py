"""One candidate as advice: its numbers at the batch that pays, its reasons, training, commands.

In: a ranked candidate. Out: a `Choice`, and the plan of its training for the costs.
"""

from collections.abc import Iterator, Sequence

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.recommendation import Choice, Reason, TrainingAdvice
from deployopt.core.tasks import ModelTask
from deployopt.planning.cost.prices import Prices
from deployopt.planning.recommending.batching import batched
from deployopt.planning.recommending.building import building
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.precisions import gain_of, runtime_for
from deployopt.planning.recommending.quality import written
from deployopt.planning.recommending.reasons import reasons_for
from deployopt.planning.recommending.setting import on_gpu
from deployopt.planning.recommending.teachers import teacher_of
from deployopt.planning.recommending.training import Plan, advice_for, plan_for
from deployopt.planning.recommending.training_reasons import training_reasons
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.recommending.words import times


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """A choice, and what it came from."""

    choice: Choice
    at: Footing
    plan: Plan | None


def advise(
    candidate: Candidate, wants: Wants, prices: Prices, everyone: Sequence[Candidate]
) -> Advice:
    """The candidate's numbers and reasons; `everyone` are those that could teach it."""
    at = batched(candidate, wants)
    if at is None:
        raise ValueError(f"{candidate.entry.alias} fits nowhere and cannot be advised")
    plan = plan_for(candidate, wants, prices)
    teacher = None if plan is None else teacher_of(candidate, everyone, plan, wants.examples or 0)
    training = None if plan is None else advice_for(candidate, plan, wants, _alias(teacher))
    reasons = [*reasons_for(candidate, at, wants)]
    reasons += training_reasons(candidate, plan, training, teacher, wants)
    commands, note = building(candidate, wants, training)
    if note:
        reasons.append(Reason(about="build", text=note))
    return Advice(
        choice=_choice(candidate, at, wants, training, (tuple(reasons), commands)),
        at=at,
        plan=plan,
    )


def _choice(
    candidate: Candidate,
    at: Footing,
    wants: Wants,
    training: TrainingAdvice | None,
    said: tuple[tuple[Reason, ...], tuple[str, ...]],
) -> Choice:
    entry = candidate.entry
    quality = candidate.quality or entry.quality_of(wants.task)
    reasons, commands = said
    return Choice(
        alias=entry.alias,
        title=entry.title,
        tier=entry.tier,
        parameters=entry.parameters,
        licence=entry.licence,
        quality="" if quality is None else written(quality),
        quality_source="" if quality is None else quality.source,
        precision=at.precision,
        compression=tuple(_compression(candidate, at, wants, training)),
        runtime=runtime_for(wants.target, wants.task, at.precision),
        batch=at.batch,
        standing=at.standing,
        memory=at.memory,
        predicted=at.predicted,
        within_latency=at.within,
        training=training,
        reasons=reasons,
        commands=commands,
    )


def _compression(
    candidate: Candidate, at: Footing, wants: Wants, training: TrainingAdvice | None
) -> Iterator[str]:
    if training is not None and training.distil_from is not None:
        yield f"distil from {training.distil_from}"
    if at.precision is Precision.INT8:
        how = "int8 static" if _convolutional(candidate) else "int8 dynamic"
        if wants.task is ModelTask.TEXT_GENERATION:
            how = "int8 weights"
        elif on_gpu(wants.target):
            how = "int8 weights" if wants.usual.answer else "int8 with calibration"
        gain = gain_of(at, candidate.footings)
        yield (
            how
            if gain is None
            else (f"{how}, predicted {times(gain)} as fast as {candidate.footings[0].precision}")
        )
    elif at.precision in {Precision.INT4, Precision.NF4}:
        yield "int4 weights in groups"
    elif at.precision in {Precision.FP16, Precision.BF16}:
        yield f"{at.precision} weights and arithmetic"


def _convolutional(candidate: Candidate) -> bool:
    shape = candidate.architecture
    return shape is not None and not shape.stacks and bool(shape.operations)


def _alias(teacher: Candidate | None) -> str | None:
    return None if teacher is None else teacher.entry.alias
