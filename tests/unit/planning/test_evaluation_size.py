"""What n examples can prove; check values from the project's tables (GATE)."""

import pytest

from deployopt.core.artifact import Precision
from deployopt.planning.evaluation_size import EXPECTED_DISCORDANCE, judge_evaluation_size


@pytest.mark.parametrize(
    ("examples", "discordance", "points"),
    [
        (300, 0.04, 2.1),
        (1000, 0.01, 0.59),
        (1000, 0.04, 1.07),
        (2000, 0.04, 0.75),
        (5000, 0.02, 0.33),
        (10_000, 0.08, 0.47),
    ],
)
def test_what_can_be_certified(examples: int, discordance: float, points: float) -> None:
    found = judge_evaluation_size(examples, 0.01, discordance)
    assert found.certifiable * 100 == pytest.approx(points, abs=0.05)
    assert found.enough is (points <= 1.0)


def test_sst2_cannot_certify_one_point() -> None:
    found = judge_evaluation_size(872, 0.01)
    assert not found.enough
    assert found.needed is not None
    assert found.needed > 872
    assert "872 examples can prove a loss of 1.2 pt at best" in found.sentence
    assert "needs about 3,500" in found.sentence


@pytest.mark.parametrize("examples", [1500, 3000])
def test_between_the_two_it_may_end_undecided(examples: int) -> None:
    found = judge_evaluation_size(examples, 0.01)
    assert found.enough
    assert "may still end undecided" in found.sentence


def test_plenty() -> None:
    found = judge_evaluation_size(10_000, 0.01)
    assert found.enough
    assert found.sentence == "10,000 examples are enough to prove a loss of at most 1 pt."


def test_none_at_all() -> None:
    found = judge_evaluation_size(0, 0.01)
    assert not found.enough
    assert "no examples" in found.sentence


def test_a_budget_of_zero_cannot_be_proved() -> None:
    found = judge_evaluation_size(10**6, 0.0)
    assert not found.enough
    assert found.needed is None
    assert "give the accuracy budget some room" in found.sentence


def test_a_budget_of_one_always_is() -> None:
    assert judge_evaluation_size(1, 1.0).enough


@pytest.mark.parametrize(("budget", "discordance"), [(-0.1, 0.1), (1.1, 0.1), (0.1, 2.0)])
def test_shares_are_shares(budget: float, discordance: float) -> None:
    with pytest.raises(ValueError, match="shares of one"):
        judge_evaluation_size(100, budget, discordance)


def test_every_precision_has_an_expectation() -> None:
    assert set(EXPECTED_DISCORDANCE) == set(Precision)
