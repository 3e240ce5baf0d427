"""The gate as a program: how often its functions err, on simulated clocks and graders.

The plain run simulates 2 000 runs a scenario, the slow one the full 10 000; a limit of 5.6 % leaves
room for the chance of 10 000 runs around 5 %, and the short form has the same number of deviations.
"""

import math

import pytest

from benchmarks.gate_simulation import (
    FAMILY,
    POINT,
    ROUND_NOISE,
    accuracy_accepts,
    budget_accepts,
    family_accepts,
    point_rule_accepts,
    relative_accepts,
    table,
)

RUNS = [2_000, pytest.param(10_000, marks=pytest.mark.slow)]
DISCORDANCES = [0.02, 0.04, 0.08]


def allowed(runs: int, share: float = 0.05) -> float:
    """Return the most hits that an error rate of `share` explains: 560 of 10 000 at 5 %."""
    return share * runs + 2.753 * math.sqrt(runs * share * (1.0 - share))


def test_the_allowance_is_the_specified_one() -> None:
    assert allowed(10_000) == pytest.approx(560, abs=0.5)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("noise", [0.0, ROUND_NOISE])
@pytest.mark.parametrize(("q", "requests"), [(0.5, 20), (0.9, 60), (0.95, 60), (0.99, 299)])
def test_a_quantile_at_its_budget(q: float, requests: int, noise: float, runs: int) -> None:
    assert budget_accepts(q, requests, runs, noise=noise) <= allowed(runs)


@pytest.mark.parametrize("runs", RUNS)
def test_a_quantile_far_from_its_budget(runs: int) -> None:
    assert budget_accepts(0.95, 60, runs, excess=0.10, noise=ROUND_NOISE) == 0
    assert budget_accepts(0.95, 60, runs, excess=-0.15, noise=ROUND_NOISE) >= 0.95 * runs


@pytest.mark.parametrize("runs", RUNS)
def test_slower_by_the_margin(runs: int) -> None:
    assert relative_accepts(1.05, 0.05, runs, noise=ROUND_NOISE) <= allowed(runs)


@pytest.mark.parametrize("runs", RUNS)
def test_slower_by_twice_the_margin(runs: int) -> None:
    assert relative_accepts(1.10, 0.05, runs, noise=ROUND_NOISE) == 0


@pytest.mark.parametrize("runs", RUNS)
def test_equal_models_are_accepted_as_no_slower(runs: int) -> None:
    assert relative_accepts(1.0, 0.05, runs, noise=ROUND_NOISE) >= 0.95 * runs


@pytest.mark.parametrize("runs", RUNS)
def test_equal_models_are_not_called_faster(runs: int) -> None:
    assert relative_accepts(1.0, 0.0, runs, noise=ROUND_NOISE) <= allowed(runs)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("discordance", DISCORDANCES)
def test_a_loss_at_its_budget(discordance: float, runs: int) -> None:
    assert accuracy_accepts(POINT, discordance, runs) <= allowed(runs)
    assert point_rule_accepts(POINT, discordance, runs) > 0.45 * runs


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("discordance", DISCORDANCES)
def test_a_loss_of_twice_its_budget(discordance: float, runs: int) -> None:
    assert accuracy_accepts(2 * POINT, discordance, runs) <= 3 * runs / 10_000


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("discordance", DISCORDANCES)
def test_the_examples_planned_are_enough(discordance: float, runs: int) -> None:
    assert accuracy_accepts(0.0, discordance, runs) >= 0.87 * runs


@pytest.mark.parametrize("discordance", DISCORDANCES)
def test_fifty_candidates_at_the_budget_in_short(discordance: float) -> None:
    assert FAMILY == 50
    assert family_accepts(discordance, 1_000) <= allowed(1_000)


@pytest.mark.slow
@pytest.mark.parametrize("discordance", DISCORDANCES)
def test_fifty_candidates_at_the_budget(discordance: float) -> None:
    """Asked in a sequence they are accepted as often as the first of them alone."""
    assert family_accepts(discordance, 10_000) <= allowed(10_000)


def test_every_question_is_answered() -> None:
    rows = table(20)
    assert len({row.question for row in rows}) == len(rows) >= 20
    assert all(0 <= row.hits <= row.runs == 20 for row in rows)
