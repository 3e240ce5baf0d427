"""Hugging Face's Trainer with this project's order, loss and weights to evaluate with."""

from contextlib import nullcontext
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainingArguments

from deployopt.core.artifact import Precision
from deployopt.core.errors import TrainingError
from deployopt.core.memory import Optimizer
from deployopt.core.training import TrainingOptions
from deployopt.modeling.training.averaging import Average
from deployopt.modeling.training.batches import Epoch, Order, Row, Rows, Together
from deployopt.modeling.training.job import Job
from deployopt.modeling.training.ranks import process_count

_POINTS: Final = 50
"""Of the loss curve, about."""
_WEIGHT_DECAY: Final = 0.01
_MOMENTUM: Final = 0.9


class ClassifierTrainer(Trainer):  # type: ignore[misc] # transformers is not followed
    """Cross-entropy, perhaps weighted by class; loss that is not a number ends the run."""

    def __init__(self, module: nn.Module, job: Job, epoch: Epoch, average: Average | None) -> None:
        self.job = job
        self.epoch_now = epoch
        self.average = average
        options = job.options
        super().__init__(
            model=module,
            args=arguments(job),
            data_collator=Together(job.interface),
            train_dataset=Rows(job.train, job, epoch, augment=options.augment),
            eval_dataset=Rows(job.validation, job, epoch, augment=False),
            compute_metrics=_accuracy,
            optimizer_cls_and_kwargs=_optimizer(options),
        )
        self.remove_callback(PrinterCallback)
        # The loss is the mean of a batch: the trainer divides it by the passes of an update.
        self.model_accepts_loss_kwargs = False
        self.class_weights = class_weights(job) if options.class_weights else None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 -- the trainer's own signature
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 -- as above
        """The mean over the batch; the logits beside it where they are asked for."""
        del num_items_in_batch
        named = {name: tensor for name, tensor in inputs.items() if name != "labels"}
        outputs = model(**named)
        weights = self.class_weights
        loss = nn.functional.cross_entropy(
            outputs.logits.float(),
            inputs["labels"],
            weight=None if weights is None else weights.to(outputs.logits.device),
        )
        if model.training and not bool(torch.isfinite(loss)):
            raise TrainingError(not_a_number(self.state.global_step + 1, self.job.options))
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *args: Any, **named: Any) -> dict[str, float]:  # noqa: ANN401 -- as above
        """With the averaged weights where there are some."""
        with self.average.in_place() if self.average else nullcontext():
            found: dict[str, float] = super().evaluate(*args, **named)
        return found

    def _get_train_sampler(self, train_dataset: Dataset[Row] | None = None) -> Order:
        del train_dataset
        options = self.job.options
        return Order(self.job.train.lengths, options.batch, options.seed, self.epoch_now)


def not_a_number(step: int, options: TrainingOptions) -> str:
    """What is to be said of a loss that is not finite."""
    lower = f"{options.learning_rate / 10:g}"
    half = " or --precision fp32" if options.precision is not Precision.FP32 else ""
    return (
        f"The loss is not a number at step {step}: the weights have run away, and nothing was "
        f"written. Train with a lower learning rate, --learning-rate {lower} in place of "
        f"{options.learning_rate:g}{half}."
    )


def class_weights(job: Job) -> Tensor:
    """All examples over classes times those of the class: every class counts the same."""
    counts = np.bincount(job.train.classes, minlength=len(job.interface.labels))
    weights = len(job.train.classes) / (len(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32)


def total_steps(job: Job, processes: int) -> int:
    """Updates in all epochs, as the trainer counts them."""
    options = job.options
    batches = -(-len(job.train.classes) // (options.batch * processes))
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


def _accuracy(found: EvalPrediction) -> dict[str, float]:
    logits = found.predictions[0] if isinstance(found.predictions, tuple) else found.predictions
    return {"accuracy": float((np.argmax(logits, axis=1) == found.label_ids).mean())}
