"""The best weights are kept and come back, in this process or from its files."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch


def test_only_better_weights_are_kept_and_patience_ends() -> None:
    import torch

    from deployopt.modeling.training.keeping import Keeper

    module: Any = torch.nn.Linear(2, 2)
    keeper = Keeper(module, 2, None)
    seen = [(0.5, 0.9), (0.8, 0.5), (0.8, 0.6), (0.7, 0.1)]
    for step, (accuracy, loss) in enumerate(seen):
        assert not keeper.over
        torch.nn.init.constant_(module.weight, float(step))
        keeper.see(step=step, epoch=step, loss=loss, accuracy=accuracy)
    assert keeper.over
    assert [one.best for one in keeper.evaluations] == [True, True, False, False]
    keeper.put_back()
    assert bool((module.weight == 1.0).all())
    assert keeper.best.step == 1


def test_equal_accuracy_with_less_loss_is_better() -> None:
    import torch

    from deployopt.modeling.training.keeping import Keeper

    keeper = Keeper(torch.nn.Linear(1, 1), 1, None)
    for step, loss in enumerate((0.5, 0.4)):
        keeper.see(step=step, epoch=step, loss=loss, accuracy=0.8)
    assert keeper.best.step == 1


def test_files_bring_everything_back(tmp_path: Path) -> None:
    import torch

    from deployopt.modeling.training.averaging import Average
    from deployopt.modeling.training.keeping import Keeper

    module: Any = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    average = Average(module, 0.9)
    keeper = Keeper(module, 3, average)
    module(torch.randn(5, 3))
    average.update()
    keeper.see(step=4, epoch=1, loss=0.3, accuracy=0.9)
    keeper.save(tmp_path)
    running = module[1].running_mean.clone()
    module(torch.randn(5, 3) + 9)
    other = Average(module, 0.9)
    again = Keeper(module, 3, other)
    again.load(tmp_path)
    again.put_back()
    assert again.evaluations == keeper.evaluations
    assert other.updates == 1
    assert torch.equal(module[1].running_mean, running)
    assert all(torch.equal(other.tensors[n], t) for n, t in average.tensors.items())
