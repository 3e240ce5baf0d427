"""The sequence: everything up to the first that fails, and no more false accepts than alpha."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.multiplicity import accepted_in_sequence

P = st.floats(0, 1)


@given(st.lists(P, max_size=8), st.floats(0.001, 0.5))
def test_those_before_the_first_that_fails_are_accepted(p_values: list[float], a: float) -> None:
    count = accepted_in_sequence(p_values, a)
    assert all(p <= a for p in p_values[:count])
    assert count == len(p_values) or p_values[count] > a


def test_one_that_fails_ends_it() -> None:
    assert accepted_in_sequence([0.01, 0.2, 0.001], 0.05) == 1
    assert accepted_in_sequence([0.2, 0.001], 0.05) == 0
    assert accepted_in_sequence([], 0.05) == 0


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_no_p_value_outside_zero_to_one(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        accepted_in_sequence([0.1, p], 0.05)


@pytest.mark.parametrize("correlation", [0.0, 0.7])
@pytest.mark.parametrize("first_bad", [0, 2])
def test_the_family_accepts_falsely_no_more_often_than_alpha(
    correlation: float, first_bad: int
) -> None:
    """Candidates from `first_bad` on are too bad by a hair: p is uniform; those before are good."""
    random = np.random.default_rng(0)
    shared, own = random.normal(size=(20_000, 1)), random.normal(size=(20_000, 5))
    scores = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    scores[:, :first_bad] += 3.0
    # 1.645 is the normal's 95 % quantile.
    p_values = np.where(scores > 1.6449, 0.01, 0.9)
    wrong = sum(accepted_in_sequence(list(row), 0.05) > first_bad for row in p_values)
    assert wrong / len(p_values) < 0.055
