"""Why this way of training, and why there.

In: the plan, the advice made of it. Out: reasons with their numbers; what the public scripts do not
do is said here.
"""

from collections.abc import Iterator

from deployopt.core.memory import Method, Sharding, Training
from deployopt.core.recommendation import Reason, TrainingAdvice
from deployopt.core.tasks import ModelTask
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.recommending import schedule
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.detectors import NOTES, trainable
from deployopt.planning.recommending.ours import teaches
from deployopt.planning.recommending.quality import written
from deployopt.planning.recommending.training import Plan
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.recommending.ways import Way
from deployopt.planning.recommending.words import (
    band,
    count,
    duration,
    standing_words,
    two_digits,
)
from deployopt.planning.usable import card_count


def training_reasons(
    candidate: Candidate,
    plan: Plan | None,
    advice: TrainingAdvice | None,
    teacher: Candidate | None,
    wants: Wants,
) -> Iterator[Reason]:
    """Nothing where no examples were given."""
    if wants.examples is None:
        return
    if not trainable(candidate.entry):
        yield Reason(
            about="training",
            text=f"{candidate.entry.alias} has 0 public weights that a script could fine-tune: it "
            "is used as it comes",
        )
        return
    if plan is None or advice is None:
        yield Reason(
            about="training",
            text=f"no shipped target can fine-tune {candidate.entry.alias} "
            f"({count(candidate.entry.parameters)} parameters): use it as it comes",
        )
        return
    if plan.target.name != wants.target.name:
        yield Reason(about="where", text=_elsewhere(plan))
    yield Reason(about="training", text=_method(plan, wants))
    yield Reason(about="training", text=_memory(plan))
    yield Reason(about="batch", text=_batch(plan, advice))
    if card_count(plan.target) > 1:
        yield Reason(about="devices", text=_devices(plan))
    yield from _script_gaps(plan, advice, candidate, wants)
    if teacher is not None:
        yield Reason(about="distil", text=_teacher(candidate, teacher, advice, wants))


def _elsewhere(plan: Plan) -> str:
    where = f"train elsewhere: {plan.target.name} ({plan.target.title}) is the cheapest shipped "
    where += "target that can"
    if plan.hours is not None:
        where += f", {_hours(plan)}"
    if plan.cost is not None:
        where += f", {two_digits(plan.cost.lower)} to {two_digits(plan.cost.upper)}"
        where += f" {plan.currency} ({plan.cost.basis.partition(';')[0]})"
    return f"{plan.instead}; {where}"


def _hours(plan: Plan) -> str:
    return "time not predicted" if plan.hours is None else duration(plan.hours)


def _method(plan: Plan, wants: Wants) -> str:
    return method_words(plan.way.training, plan.dropped, wants.task, wants.examples or 0)


def method_words(
    training: Training, dropped: tuple[Way, ...], task: ModelTask, examples: int
) -> str:
    """What is trained, and why no more and no less."""
    least = schedule.FULL_FROM.get(task, schedule.FEW)
    said = {
        Method.FULL: "all parameters are trained",
        Method.FREEZE: "the lower layers stay as they are, "
        f"{training.trained_share:.0%} of the layers are trained",
        Method.LORA: f"adapters are trained (LoRA, rank {training.rank})",
        Method.QLORA: f"adapters are trained over a base in 4 bits (QLoRA, rank {training.rank})",
        Method.PREFIX: f"a prefix of {training.rank} tokens is trained",
    }[training.method]
    if dropped:
        left = "; ".join(_dropped(way) for way in dropped)
        return f"{said}: {left}"
    sign = "reach" if examples >= least else "are below"
    return (
        f"{said}: {count(examples)} examples {sign} the {count(least)} from which that of all pays"
    )


def _dropped(way: Way) -> str:
    need = band(way.need.total, Dimension.SIZE)
    usable = show_quantity(way.available_bytes, Dimension.SIZE)
    return f"{way.training.method} would need {need} of {usable}"


def _memory(plan: Plan) -> str:
    training = plan.way.training
    need = band(plan.way.need.total, Dimension.SIZE)
    usable = show_quantity(plan.way.available_bytes, Dimension.SIZE)
    how = f"{training.precision}, {training.optimizer}"
    if training.checkpointing:
        how += ", checkpointing"
    each = " a device" if training.devices > 1 else ""
    return (
        f"{need} of {usable}{each} on {plan.target.name} ({how}): "
        f"{standing_words(plan.way.standing)}; {_hours(plan)}"
    )


def _batch(plan: Plan, advice: TrainingAdvice) -> str:
    training = plan.way.training
    together = training.batch * training.devices * advice.accumulation
    return (
        f"{training.batch} a device x {training.devices} x {advice.accumulation} accumulated = "
        f"{together} an update"
    )


def _devices(plan: Plan) -> str:
    training = plan.way.training
    need = band(plan.way.need.total, Dimension.SIZE)
    usable = show_quantity(plan.way.available_bytes, Dimension.SIZE)
    if training.sharding is Sharding.DDP:
        return f"DDP over {training.devices} GPUs: {need} fits each ({usable}), nothing is sharded"
    if training.sharding in {Sharding.FSDP, Sharding.ZERO2}:
        return f"FSDP over {training.devices} GPUs: unsharded it does not fit the {usable} of one"
    return "one GPU is enough"


def _no_script(candidate: Candidate, wants: Wants) -> str:
    if wants.task is ModelTask.FEATURE_EXTRACTION:
        return (
            "no script to call: sentence-transformers trains it from Python "
            "(SentenceTransformerTrainer with MultipleNegativesRankingLoss)"
        )
    return f"no public script fine-tunes {candidate.entry.alias} from a command line as it stands"


def _script_gaps(
    plan: Plan, advice: TrainingAdvice, candidate: Candidate, wants: Wants
) -> Iterator[Reason]:
    """What the printed line does not do by itself."""
    method = plan.way.training.method
    if not advice.commands:
        yield Reason(about="script", text=_no_script(candidate, wants))
        return
    line = advice.commands[0]
    note = NOTES.get(candidate.entry.family)
    if note is not None:
        name = candidate.entry.alias.replace("-", "_")
        text = note.format(name=name, epochs=advice.epochs, rate=advice.learning_rate)
        yield Reason(about="script", text=text)
    if wants.task is ModelTask.IMAGE_SEGMENTATION:
        yield Reason(
            about="script",
            text="with other than the model's own classes, pass ignore_mismatched_sizes=True to "
            "from_pretrained in the script; it has no option for it",
        )
    if method is Method.FREEZE and "freeze" not in line:
        share = 1 - plan.way.training.trained_share
        yield Reason(
            about="script",
            text=f"the script has no option that freezes: after it loads the model, set "
            f"requires_grad to False for the embeddings and the lower {share:.0%} of the layers",
        )
    known = ("--use_peft", "_lora", "--method")
    if method is Method.LORA and not any(word in line for word in known):
        yield Reason(
            about="script",
            text="the script knows no adapters: after it loads the model, wrap it with "
            f"peft.get_peft_model(model, LoraConfig(r={plan.way.training.rank}, "
            'target_modules="all-linear"))',
        )


def _teacher(student: Candidate, teacher: Candidate, advice: TrainingAdvice, wants: Wants) -> str:
    better = (teacher.points or 0.0) - (student.points or 0.0)
    figure = written(teacher.quality) if teacher.quality else ""
    found = f"{teacher.entry.alias} ({figure}) is {better:.1f} points better and fits the training "
    if advice.output and teaches(wants.task, teacher.entry.alias):
        return f"{found}machine beside it: tune both, then let it teach the student"
    return (
        f"{found}machine beside it: fine-tune it with the same line, then train the student on its "
        "logits too; the printed line trains without a teacher"
    )
