"""The child's own arithmetic; what it does in whole is in test_accuracy and test_latency."""

import numpy as np

from deployopt.device.child import count_non_finite


def test_examples_with_a_bad_output_are_counted_once() -> None:
    good = np.zeros((3, 2), dtype=np.float32)
    bad = good.copy()
    bad[1] = [np.nan, np.inf]
    assert count_non_finite({"a": good}, 3) == 0
    assert count_non_finite({"a": bad, "b": bad}, 3) == 1
    assert count_non_finite({"a": np.array([1, 2, 3])}, 3) == 0


def test_an_output_that_is_not_by_example_spoils_them_all() -> None:
    assert count_non_finite({"a": np.array(np.nan)}, 3) == 3
    assert count_non_finite({"a": np.array([0.0, np.nan])}, 3) == 3
