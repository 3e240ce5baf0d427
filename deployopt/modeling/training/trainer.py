"""Hugging Face's Trainer with this project's order, losses and weights to evaluate with."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainingArguments

from deployopt.core.artifact import Precision
from deployopt.core.errors import TrainingError
from deployopt.core.memory import Optimizer
from deployopt.core.training import TrainingOptions
from deployopt.modeling.training.averaging import Average
from deployopt.modeling.training.batches import Epoch, Order
from deployopt.modeling.training.job import Job
from deployopt.modeling.training.ranks import process_count

_POINTS: Final = 50
"""Of the loss curve, about."""
_WEIGHT_DECAY: Final = 0.01
_MOMENTUM: Final = 0.9


class Lesson(Protocol):
    """What is learnt: data sets, and the loss of what a model makes of them."""

    by_token: bool
    """Whether the loss is a mean over the tokens of an update, and not over its examples."""

    @property
    def train(self) -> Dataset[Any]:
        """To learn from."""

    @property
    def validation(self) -> Dataset[Any]:
        """To choose by."""

    def together(self, rows: Sequence[Any]) -> dict[str, Tensor]:
        """Rows of a data set as one batch, `labels` among it."""

    def loss(
        self, model: nn.Module, inputs: dict[str, Tensor], tokens: Tensor | int | None
    ) -> tuple[Tensor, Any]:
        """The loss, over so many tokens of the update, and what `figures` is worked out of."""

    def figures(self, found: EvalPrediction) -> dict[str, float]:
        """What is said of the validation split."""


class LessonTrainer(Trainer):  # type: ignore[misc] # transformers is not followed
    """A loss that is not a number ends the run."""

    def __init__(self, module: nn.Module, job: Job, epoch: Epoch, lesson: Lesson) -> None:
        self.job = job
        self.epoch_now = epoch
        self.lesson = lesson
        self.average: Average | None = None
        super().__init__(
            model=module,
            args=arguments(job),
            data_collator=lesson.together,
            train_dataset=lesson.train,
            eval_dataset=lesson.validation,
            compute_metrics=lesson.figures,
            optimizer_cls_and_kwargs=_optimizer(job.options),
        )
        self.remove_callback(PrinterCallback)
        # Else the loss is the mean of a batch: the trainer divides it by the passes of an update.
        self.model_accepts_loss_kwargs = lesson.by_token

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 -- the trainer's own signature
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 -- as above
        """The loss of a batch; what figures are made of beside it where it is asked for."""
        loss, outputs = self.lesson.loss(model, inputs, num_items_in_batch)
        if model.training and not bool(torch.isfinite(loss)):
            raise TrainingError(not_a_number(self.state.global_step + 1, self.job.options))
        if self.lesson.by_token and num_items_in_batch is not None:
            # Tokens are counted over all processes, whose gradients are then averaged.
            loss = loss * process_count()
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *args: Any, **named: Any) -> dict[str, float]:  # noqa: ANN401 -- as above
        """With the averaged weights where there are some."""
        with self.average.in_place() if self.average else nullcontext():
            found: dict[str, float] = super().evaluate(*args, **named)
        return found

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Order:
        del train_dataset
        options = self.job.options
        return Order(self.job.lengths, options.batch, options.seed, self.epoch_now)


def not_a_number(step: int, options: TrainingOptions) -> str:
    """What is to be said of a loss that is not finite."""
    lower = f"{options.learning_rate / 10:g}"
    half = " or --precision fp32" if options.precision is not Precision.FP32 else ""
    return (
        f"The loss is not a number at step {step}: the weights have run away, and nothing was "
        f"written. Train with a lower learning rate, --learning-rate {lower} in place of "
        f"{options.learning_rate:g}{half}."
    )


def total_steps(job: Job, processes: int) -> int:
    """Updates in all epochs, as the trainer counts them."""
    options = job.options
    batches = -(-len(job.lengths) // (options.batch * processes))
    return options.epochs * -(-batches // options.accumulation)


def arguments(job: Job) -> TrainingArguments:
    """The trainer's arguments; one evaluation and one checkpoint an epoch."""
    options = job.options
    on_cpu = not torch.cuda.is_available()
    steps = total_steps(job, process_count())
    return TrainingArguments(
        output_dir=str(job.workdir / "run"),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=options.batch,
        gradient_accumulation_steps=options.accumulation,
        learning_rate=options.learning_rate,
        weight_decay=_WEIGHT_DECAY,
        warmup_steps=round(options.warmup_share * steps),
        lr_scheduler_type="linear",
        optim="adamw_bnb_8bit" if options.optimizer is Optimizer.ADAMW_8BIT else "adamw_torch",
        bf16=options.precision is Precision.BF16,
        logging_strategy="steps",
        logging_steps=max(1, steps // _POINTS),
        logging_nan_inf_filter=False,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        seed=options.seed,
        use_cpu=on_cpu,
        # Frozen weights take no part in a step.
        ddp_find_unused_parameters=True if options.unfreeze_every else None,
        ddp_backend="gloo" if on_cpu and process_count() > 1 else None,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=True,
        report_to="none",
        log_level="error",
    )


def _optimizer(
    options: TrainingOptions,
) -> tuple[type[torch.optim.Optimizer], dict[str, float]] | None:
    if options.optimizer is Optimizer.SGD:
        return torch.optim.SGD, {"lr": options.learning_rate, "momentum": _MOMENTUM}
    return None
