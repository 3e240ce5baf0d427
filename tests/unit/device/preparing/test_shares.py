"""Shares of logits."""

import numpy as np
import pytest

from deployopt.device.preparing.shares import sigmoid, softmax


def test_shares_sum_to_one_and_nothing_overflows() -> None:
    shares = softmax(np.array([1000.0, 0.0], dtype=np.float32))
    assert shares.tolist() == [1.0, 0.0]
    assert softmax(np.zeros(4, dtype=np.float32)).tolist() == [0.25] * 4
    with pytest.raises(ValueError, match="not finite"):
        softmax(np.array([np.nan, 0.0], dtype=np.float32))


def test_scores_by_themselves_do_not_overflow() -> None:
    scores = sigmoid(np.array([1000.0, 0.0, -1000.0, np.log(3.0)], dtype=np.float32))
    np.testing.assert_allclose(scores, [1.0, 0.5, 0.0, 0.75], atol=1e-7)
    with pytest.raises(ValueError, match="not finite"):
        sigmoid(np.array([np.inf, 0.0], dtype=np.float32))
