"""The average follows the weights slowly, and stands in for them only for a while."""

from typing import Any

import pytest

pytestmark = pytest.mark.torch


def test_the_average_lags_behind_and_steps_aside() -> None:
    import torch

    from deployopt.modeling.training.averaging import Average

    module: Any = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    average = Average(module, 0.9)
    torch.nn.init.ones_(module.weight)
    for _ in range(3):
        average.update()
    lagging = float(average.tensors["weight"])
    # Early updates count for more: 1 - (1/11)(2/12)(3/13).
    assert lagging == pytest.approx(1 - (1 / 11) * (2 / 12) * (3 / 13))
    with average.in_place():
        assert module.weight.item() == pytest.approx(lagging)
    assert module.weight.item() == 1.0


@pytest.mark.parametrize(("steps", "last"), [(10, 10), (1_000, 100), (50_000, 5_000)])
def test_it_reaches_over_the_last_tenth(steps: int, last: int) -> None:
    from deployopt.modeling.training.averaging import decay_for

    assert 1 / (1 - decay_for(steps)) == pytest.approx(last)
