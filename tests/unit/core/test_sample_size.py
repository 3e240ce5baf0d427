"""How many examples a budget needs, and what a number of them can certify."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.paired import loss_bounds
from deployopt.core.sample_size import certifiable, examples_needed, examples_to_settle
from deployopt.core.standing import Standing, standing_between


@pytest.mark.parametrize(
    ("n", "points"),
    [
        # With 2 + 2 and 3 + 3 discordant examples the exact bound (1.6 and 1.8) exceeds Tango's.
        (300, [1.0, 1.6, 1.8, 2.1, 2.8]),
        (1_000, [0.30, 0.59, 0.78, 1.07, 1.49]),
        (2_000, [0.15, 0.39, 0.54, 0.75, 1.05]),
        (5_000, [0.06, 0.24, 0.33, 0.47, 0.66]),
        (10_000, [0.03, 0.17, 0.23, 0.33, 0.47]),
    ],
)
def test_what_n_can_certify(n: int, points: list[float]) -> None:
    digits = 0.051 if n == 300 else 0.006
    found = [100 * certifiable(n, psi) for psi in (0.0, 0.01, 0.02, 0.04, 0.08)]
    assert found == pytest.approx(points, abs=digits)


def test_sst2_cannot_certify_one_point() -> None:
    assert certifiable(872, 0.04) > 0.01


def test_the_formula_by_hand() -> None:
    plain = ((1.644854 * (0.04 - 1e-4) ** 0.5 + 1.281552 * 0.04**0.5) / 0.01) ** 2
    assert examples_needed(0.01, 0.04) == pytest.approx(plain, abs=1.0)
    sparse = 1.2 * ((1.644854 * (0.02 - 1e-4) ** 0.5 + 1.281552 * 0.02**0.5) / 0.01) ** 2
    assert examples_needed(0.01, 0.02) == pytest.approx(sparse, abs=1.0)


@given(st.floats(0.002, 0.1), st.floats(0.0, 0.2), st.floats(0.0, 0.9))
def test_more_is_needed_for_less(margin: float, discordance: float, share: float) -> None:
    here = examples_needed(margin, discordance, true_loss=share * margin)
    closer = examples_needed(margin, discordance, true_loss=(0.1 + share) * margin * 0.99)
    assert here is not None
    assert closer is not None
    bolder = examples_needed(margin, discordance, true_loss=share * margin, power=0.8)
    assert bolder is not None
    assert bolder <= here
    assert certifiable(here, 0.0) <= margin + 1e-9
    if share == 0.0:
        assert closer >= here


def test_no_number_proves_what_is_not_so() -> None:
    assert examples_needed(0.01, 0.04, true_loss=0.01) is None
    with pytest.raises(ValueError, match="shares of one"):
        examples_needed(0.0, 0.04)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(200, 3_000))
def test_the_examples_asked_for_settle_it(b: int, c: int, n: int) -> None:
    bounds = loss_bounds(b, c, n)
    now = standing_between(bounds.lower, bounds.upper, 0.01)
    further = examples_to_settle(b, c, n, 0.01)
    assert (further == 0) == (now is not Standing.UNSETTLED)
    if further:
        total = n + further
        lost, gained = b * total / n, c * total / n
        better = loss_bounds(math.floor(lost), math.ceil(gained), total)
        worse = loss_bounds(math.ceil(lost), math.floor(gained), total)
        assert better.upper <= 0.01 or worse.lower > 0.01


def test_a_loss_at_the_budget_is_never_settled() -> None:
    assert examples_to_settle(40, 10, 3_000, 0.01) is None
    further = examples_to_settle(0, 0, 200, 0.01)
    assert further == 99
