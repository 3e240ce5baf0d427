"""One training run from a base folder to a folder with the best weights, adapters merged.

The same in every process of several; the leader alone writes the folder. Everything stands in the
work folder of the job until it is finished, so a run that dies leaves nothing half-written.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import torch
import transformers
from torch import nn

from deployopt.core.errors import TrainingError
from deployopt.core.memory import Method
from deployopt.core.training import LossPoint
from deployopt.modeling.quiet import quiet_transformers
from deployopt.modeling.training.averaging import Average, decay_for
from deployopt.modeling.training.batches import Epoch
from deployopt.modeling.training.callbacks import NO_GAIN, Between
from deployopt.modeling.training.classifying import Classifying
from deployopt.modeling.training.continuing import Continuing
from deployopt.modeling.training.decoders import coarse, start_decoder
from deployopt.modeling.training.job import Job, Trained, Words
from deployopt.modeling.training.keeping import Keeper
from deployopt.modeling.training.methods import merged, prepare, require_machine
from deployopt.modeling.training.peaks import peak_memory
from deployopt.modeling.training.prefixes import save_prefix
from deployopt.modeling.training.quieting import quiet_training
from deployopt.modeling.training.ranks import is_leader, process_count
from deployopt.modeling.training.starting import Start, start_model
from deployopt.modeling.training.trainer import (
    Lesson,
    LessonTrainer,
    not_a_number,
    total_steps,
)
from deployopt.modeling.training.unfreezing import Stages, stages_of

FINISHED: Final = "finished"


def train(job: Job) -> Trained:
    """Train, and write config.json and model.safetensors of the best weights.

    Raises:
        UsageError: a method or optimizer that the model or the machine cannot do.
        StepError: the base does not load.
        TrainingError: the loss is no number.
        RefusedInputError: the base folder may not be opened.
    """
    require_machine(job.options)
    with quiet_training(), quiet_transformers():
        transformers.set_seed(job.options.seed)
        start = _start(job)
        parameters = sum(weight.numel() for weight in start.model.parameters())
        epoch = Epoch()
        lesson = _lesson(job, start, epoch)
        module = prepare(start, job.options)
        stages = stages_of(start, module, job.options)
        return _run(LessonTrainer(module, job, epoch, lesson), parameters, stages)


def _start(job: Job) -> Start:
    lessons = job.lessons
    if isinstance(lessons, Words):
        return start_decoder(job.folder, job.options)
    quantized = job.options.method is Method.QLORA
    return start_model(
        job.folder, lessons.interface, new_head=lessons.new_head, quantized=quantized
    )


def _again(job: Job) -> Callable[[], Start] | None:
    """The base with its own weights, where it was trained with fewer bits."""
    lessons = job.lessons
    if isinstance(lessons, Words):
        return (lambda: start_decoder(job.folder)) if coarse(job.options) else None
    if job.options.method is not Method.QLORA:
        return None
    return lambda: start_model(job.folder, lessons.interface, new_head=False)


def _lesson(job: Job, start: Start, epoch: Epoch) -> Lesson:
    lessons = job.lessons
    if isinstance(lessons, Words):
        return Continuing(lessons, start.model)
    return Classifying(lessons, job.options, epoch)


def _run(trainer: LessonTrainer, parameters: int, stages: Stages | None) -> Trained:
    job: Job = trainer.job
    module: nn.Module = trainer.model
    options, epoch = job.options, trainer.epoch_now
    trained = sum(w.numel() for w in module.parameters() if w.requires_grad)
    steps = total_steps(job, process_count())
    average = Average(module, decay_for(steps)) if options.averaged else None
    trainer.average = average
    keeper = Keeper(module, options.patience, average)
    between = Between(job, keeper, epoch, stages=stages)
    trainer.add_callback(between)
    held = job.checkpoints.load() if job.resume else None
    if held is not None:
        keeper.load(held)
    reached = _step_of(held)
    began = time.perf_counter_ns()
    if reached < steps and not keeper.over:
        trainer.train(resume_from_checkpoint=str(held) if held is not None else None)
    else:
        trainer.state.log_history = _history_of(held)
        trainer.state.global_step = reached
    seconds = (time.perf_counter_ns() - began) / 1e9
    peak, what = peak_memory()
    keeper.put_back()
    _require_finite(module, keeper.best.step, job)
    folder = job.workdir / FINISHED
    if is_leader() and options.method is Method.PREFIX:
        save_prefix(module, job.origin, folder)
    elif is_leader():
        merged(module, options, _again(job)).float().save_pretrained(folder)
    done = keeper.evaluations[-1]
    return Trained(
        folder=folder,
        evaluations=tuple(keeper.evaluations),
        curve=tuple(_curve(trainer.state.log_history)),
        epochs=done.epoch,
        steps=done.step,
        stopped=between.stopped or (NO_GAIN if keeper.over and done.step < steps else None),
        resumed_from=reached if held is not None else None,
        parameters=parameters,
        parameters_trained=trained,
        peak_bytes=peak,
        peak_of=what,
        seconds=seconds,
    )


def _step_of(checkpoint: Path | None) -> int:
    if checkpoint is None:
        return 0
    path = str(checkpoint / "trainer_state.json")
    return int(transformers.TrainerState.load_from_json(path).global_step)


def _history_of(checkpoint: Path | None) -> list[dict[str, float]]:
    if checkpoint is None:
        return []
    path = str(checkpoint / "trainer_state.json")
    history: list[dict[str, float]] = transformers.TrainerState.load_from_json(path).log_history
    return history


def _require_finite(module: nn.Module, step: int, job: Job) -> None:
    if not all(bool(torch.isfinite(weight).all()) for weight in module.parameters()):
        raise TrainingError(not_a_number(step, job.options))


def _curve(history: list[dict[str, float]]) -> Iterator[LossPoint]:
    for entry in history:
        if "loss" in entry:
            yield LossPoint(
                step=int(entry["step"]),
                epoch=round(float(entry["epoch"]), 4),
                loss=float(entry["loss"]),
                learning_rate=float(entry["learning_rate"]),
            )
