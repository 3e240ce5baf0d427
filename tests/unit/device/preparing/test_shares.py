"""Shares of logits."""

import numpy as np
import pytest

from deployopt.device.preparing.shares import softmax


def test_shares_sum_to_one_and_nothing_overflows() -> None:
    shares = softmax(np.array([1000.0, 0.0], dtype=np.float32))
    assert shares.tolist() == [1.0, 0.0]
    assert softmax(np.zeros(4, dtype=np.float32)).tolist() == [0.25] * 4
    with pytest.raises(ValueError, match="not finite"):
        softmax(np.array([np.nan, 0.0], dtype=np.float32))
