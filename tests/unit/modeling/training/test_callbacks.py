"""Between the steps: time is kept with room for judging, on a clock that the test turns."""

from pathlib import Path
from typing import Any

import pytest

from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.memory import Method
from deployopt.core.training import TrainingOptions
from deployopt.core.watching import SILENT
from deployopt.modeling.training.job import Job, Labelled, Labels

pytestmark = pytest.mark.torch


class Nowhere:
    """Keeps no checkpoint."""

    def save(self, folder: Path) -> None:
        raise AssertionError(folder)

    def load(self) -> Path | None:
        return None


def job(deadline_s: float | None, judged: int) -> Job:
    nothing = Labelled(inputs=[], classes=[], lengths=[])
    inputs = TextInputs(max_length=9)
    interface = Interface(task=Task.TEXT_CLASSIFICATION, inputs=inputs, outputs=("logits",))
    lessons = Labels(
        interface=interface, new_head=True, train=nothing, validation=nothing, encode=lambda _: {}
    )
    return Job(
        folder=Path(), lessons=lessons, options=TrainingOptions(method=Method.FULL, batch=10),
        workdir=Path(), origin="", checkpoints=Nowhere(), resume=False, watcher=SILENT,
        deadline_ns=None if deadline_s is None else round(deadline_s * 1e9), judged=judged,
    )  # fmt: skip


def steps_until_stop(deadline_s: float | None, judged: int, step_s: float = 1.0) -> int:
    """How many steps of a second each are made."""
    import torch
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from deployopt.modeling.training.batches import Epoch
    from deployopt.modeling.training.callbacks import Between
    from deployopt.modeling.training.keeping import Keeper

    now = 0.0
    keeper = Keeper(torch.nn.Linear(1, 1), 0, None)
    between = Between(job(deadline_s, judged), keeper, Epoch(), lambda: int(now * 1e9))
    args: Any = TrainingArguments(output_dir="nowhere", use_cpu=True, report_to="none")
    state, control = TrainerState(max_steps=100), TrainerControl()
    between.on_train_begin(args, state, control)
    for step in range(1, 101):
        now += step_s
        state.global_step = step
        between.on_step_end(args, state, control)
        if control.should_training_stop:
            assert between.stopped == "the time limit"
            return step
    return 100


def test_without_a_limit_nothing_stops() -> None:
    assert steps_until_stop(None, 0) == 100


@pytest.mark.parametrize(("judged", "expected"), [(0, 29), (100, 24), (400, 9)])
def test_judging_has_its_time(judged: int, expected: int) -> None:
    assert steps_until_stop(30.0, judged) == expected


def test_a_limit_that_is_too_short_still_makes_one_step() -> None:
    assert steps_until_stop(0.5, 100) == 1


@pytest.mark.parametrize(("done", "number"), [(None, 0), (0.0, 0), (0.999999999, 1), (1.5, 1)])
def test_order_and_augmentation_know_the_epoch(done: float | None, number: int) -> None:
    import torch
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from deployopt.modeling.training.batches import Epoch
    from deployopt.modeling.training.callbacks import Between
    from deployopt.modeling.training.keeping import Keeper

    epoch = Epoch()
    between = Between(job(None, 0), Keeper(torch.nn.Linear(1, 1), 0, None), epoch)
    args: Any = TrainingArguments(output_dir="nowhere", use_cpu=True, report_to="none")
    between.on_epoch_begin(args, TrainerState(epoch=done), TrainerControl())
    assert epoch.number == number
