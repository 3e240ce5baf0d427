"""What happens between the steps: progress, the time limit, checkpoints, the best weights."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from deployopt.modeling.training.batches import Epoch
from deployopt.modeling.training.job import Job
from deployopt.modeling.training.keeping import Keeper
from deployopt.modeling.training.ranks import is_leader, process_count, wait
from deployopt.modeling.training.unfreezing import Stages

_SAVE_EVERY_S: Final = 600.0
_NEARLY: Final = 1e-6
TIME_UP: Final = "the time limit"
NO_GAIN: Final = "no gain on the validation split"


class Between(TrainerCallback):  # type: ignore[misc] # transformers is not followed
    """The one callback; the trainer calls it in every process."""

    def __init__(
        self,
        job: Job,
        keeper: Keeper,
        epoch: Epoch,
        clock: Callable[[], int] = time.perf_counter_ns,
        stages: Stages | None = None,
    ) -> None:
        self.stopped: str | None = None
        self._keeper = keeper
        self._checkpoints = job.checkpoints
        self._epoch = epoch
        self._stages = stages
        self._watcher = job.watcher
        self._deadline_ns = job.deadline_ns
        options = job.options
        self._judging = (job.chosen_by + job.judged) / (
            options.batch * options.accumulation * process_count()
        )
        self._clock = clock
        self._began = self._saved = clock()
        self._steps = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """The clock starts."""
        del args, control
        self._began = self._saved = self._clock()
        self._watcher.stage("train", state.max_steps)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """A resumed run begins in the middle of one."""
        del args, control
        self._epoch.number = int((state.epoch or 0.0) + _NEARLY)
        if self._stages is not None:
            self._stages.enter(self._epoch.number)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """After an update: the average, the bar, the clock."""
        if self._keeper.average is not None:
            self._keeper.average.update()
        share = state.global_step / max(1, state.max_steps)
        self._watcher.advance(share, f"epoch {(state.epoch or 0):.1f} of {args.num_train_epochs:g}")
        self._steps += 1
        late, due = self._clock_says()
        if late and state.global_step < state.max_steps:
            self.stopped = TIME_UP
            control.should_training_stop = True
        # Where an epoch or the training ends here, it is saved there.
        control.should_save = control.should_save or (due and not late)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Keep the best; stop where nothing is gained any more."""
        del args
        found = metrics or {}
        done = round(state.epoch or 0.0, 4)
        # What is still frozen cannot be expected to help.
        counts = self._stages is None or done > self._stages.last_begins
        self._keeper.see(
            counts=counts,
            step=state.global_step,
            epoch=done,
            loss=found.get("eval_nll", found["eval_loss"]),
            accuracy=found.get("eval_accuracy"),
        )
        if self._keeper.over and state.global_step < state.max_steps:
            self.stopped = self.stopped or NO_GAIN
            control.should_training_stop = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """The checkpoint goes where it outlives the process."""
        del control
        wait()
        if is_leader():
            folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            self._keeper.save(folder)
            self._checkpoints.save(folder)
        wait()
        self._saved = self._clock()

    def _clock_says(self) -> tuple[bool, bool]:
        """Whether time is up, and whether a checkpoint is due: the same in every process."""
        now = self._clock()
        spent = (now - self._began) / 1e9
        # A forward pass is about a third of a step; half leaves room for writing.
        needed = spent / max(1, self._steps) * (1 + self._judging / 2)
        late = self._deadline_ns is not None and now + needed * 1e9 >= self._deadline_ns
        due = (now - self._saved) / 1e9 >= _SAVE_EVERY_S
        if process_count() == 1:
            return late, due
        device = "cuda" if torch.cuda.is_available() else "cpu"
        said = torch.tensor([int(late), int(due)], device=device)
        dist.broadcast(said, src=0)
        return bool(said[0]), bool(said[1])
