"""Bytes a trained parameter: the sums that everybody quotes."""

import pytest

from deployopt.core.artifact import Precision
from deployopt.core.memory import Optimizer, Training
from deployopt.planning.memory.states import adapter_states, states


@pytest.mark.parametrize(
    ("training", "lasting"),
    [
        (Training(precision=Precision.FP32), 16),
        (Training(precision=Precision.BF16), 18),
        (Training(precision=Precision.BF16, optimizer=Optimizer.ADAMW_8BIT), 12),
        (Training(precision=Precision.BF16, optimizer=Optimizer.SGD), 14),
        (Training(precision=Precision.BF16, pure=True), 8),
        (Training(precision=Precision.BF16, pure=True, optimizer=Optimizer.ADAMW_8BIT), 6),
    ],
)
def test_what_lasts(training: Training, lasting: float) -> None:
    found = states(training)
    assert found.weights + found.master + found.gradients + found.optimizer == lasting


def test_an_adapter_is_kept_in_full_precision() -> None:
    found = adapter_states(Training())
    assert found.weights + found.gradients + found.optimizer == 16
    assert found.master == 0


def test_only_adamw_holds_an_update_beside_the_weights() -> None:
    steps = [states(Training(optimizer=optimizer)).step for optimizer in Optimizer]
    assert steps == [0, 4, 0]
