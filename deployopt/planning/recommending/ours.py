"""The lines that train with deployopt's own commands, for the models that these take.

In: one fine-tuning run, where it happens, and the teacher where one is advised. Out: lines to type,
and where the model and the examples that judge it end up; nothing where only other people's scripts
do it.
"""

import shlex
from typing import Final, NamedTuple

from deployopt.catalogue.models import find_entry
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer, Sharding, Training
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.run import Run

_DATA: Final = {
    ModelTask.TEXT_CLASSIFICATION: "train.csv",
    ModelTask.IMAGE_CLASSIFICATION: "train",
    ModelTask.TEXT_GENERATION: "dialogues.jsonl",
}
_ADAPTERS: Final = frozenset({Method.LORA, Method.QLORA})
_JUDGES: Final = {ModelTask.IMAGE_CLASSIFICATION: "validation"}


class Ours(NamedTuple):
    """`folder` is what the last line writes; `judges` are examples that it was not trained on."""

    lines: tuple[str, ...]
    folder: str
    judges: str


def our_lines(run: Run, where: str, teacher: str | None) -> Ours | None:
    """Fine-tune; where a teacher is advised fine-tune it too, and let it teach."""
    if run.task not in _DATA or not run.entry.buildable:
        return None
    if run.training.sharding not in {Sharding.NONE, Sharding.DDP}:
        return None
    tuned = f"./{run.folder}"
    judges = _JUDGES.get(run.task, f"{tuned}/held-out.jsonl")
    line = _finetune(run, run.entry.alias, where, tuned)
    if not teaches(run.task, teacher):
        return Ours(lines=(line,), folder=tuned, judges=judges)
    wiser, taught = f"./{teacher}-tuned", f"./{run.entry.alias}-taught"
    lesson = f"--teacher {wiser} --student {tuned} --data {_DATA[run.task]} --eval-data {judges}"
    lines = (
        line,
        _finetune(run, teacher or "", where, wiser),
        f"deployopt distill {lesson} -o {taught}",
    )
    return Ours(lines=lines, folder=taught, judges=judges)


def teaches(task: ModelTask, teacher: str | None) -> bool:
    """Whether our own distillation can use this teacher: texts, and a model that `build` takes."""
    if teacher is None or task is not ModelTask.TEXT_CLASSIFICATION:
        return False
    return find_entry(teacher).buildable


def _finetune(run: Run, alias: str, where: str, folder: str) -> str:
    training = run.training
    words = [_launcher(training), "finetune", f"--model {alias}", f"--data {_DATA[run.task]}"]
    words += [f"--target {shlex.quote(where)}", f"--method {training.method}"]
    words += [f"--epochs {run.epochs}", f"--learning-rate {run.learning_rate:g}"]
    words += [f"--warmup {run.warmup_share:g}", f"--batch {training.batch}"]
    words += [f"--accumulation {run.accumulation}"]
    if run.task is not ModelTask.IMAGE_CLASSIFICATION:
        words.append(f"--length {training.length}")
    if run.task is ModelTask.TEXT_GENERATION and training.method in _ADAPTERS:
        words.append(f"--rank {training.rank}")
    if training.optimizer is not Optimizer.ADAMW:
        words.append(f"--optimizer {training.optimizer}")
    if training.precision is Precision.BF16 and not run.cpu:
        words.append("--precision bf16")
    if training.checkpointing:
        words.append("--checkpointing")
    return " ".join([*words, f"-o {folder}"])


def _launcher(training: Training) -> str:
    if training.devices == 1:
        return "deployopt"
    return f"torchrun --nproc_per_node {training.devices} -m deployopt"
