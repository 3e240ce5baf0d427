"""Holm's procedure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from deployopt.core.multiplicity import holm, holm_adjusted, holm_levels

P_VALUES = st.lists(st.floats(0.0, 1.0), max_size=30)


def test_the_textbook_case() -> None:
    adjusted = holm_adjusted([0.01, 0.04, 0.03, 0.005])
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.04, 0.03, 0.005]) == (True, False, False, True)


def test_one_candidate_pays_nothing() -> None:
    assert holm([0.05]) == (True,)
    assert holm([]) == ()


@given(P_VALUES)
def test_between_bonferroni_and_none(p_values: list[float]) -> None:
    bonferroni = [min(1.0, len(p_values) * p) for p in p_values]
    for p, adjusted, strict in zip(p_values, holm_adjusted(p_values), bonferroni, strict=True):
        assert p <= adjusted <= strict


@given(P_VALUES, st.data())
def test_order_does_not_matter(p_values: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(list(enumerate(p_values))))
    found = holm_adjusted([p for _, p in shuffled])
    expected = holm_adjusted(p_values)
    assert [expected[i] for i, _ in shuffled] == list(found)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_step_down_by_its_definition(p_values: list[float]) -> None:
    accepted = 0
    for i, p in enumerate(sorted(p_values)):
        if p * (len(p_values) - i) > 0.05:
            break
        accepted += 1
    assert sum(holm(p_values)) == accepted


def test_no_candidate_is_accepted_that_benjamini_hochberg_refuses() -> None:
    p_values = [0.001, 0.012, 0.02, 0.04, 0.2]
    looser = stats.false_discovery_control(p_values)
    assert all(q <= 0.05 for q, kept in zip(looser, holm(p_values), strict=True) if kept)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm_adjusted([0.1, p])


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_a_level_tells_what_holm_tells(p_values: list[float]) -> None:
    levels = holm_levels(p_values)
    accepted = tuple(p <= level for p, level in zip(p_values, levels, strict=True))
    assert accepted == holm(p_values)
    assert all(0.05 / len(p_values) - 1e-12 <= level <= 0.05 for level in levels)


def test_levels_by_hand() -> None:
    assert holm_levels([0.04, 0.001]) == (0.05, 0.025)
    assert holm_levels([0.04, 0.03]) == (0.025, 0.025)
    assert holm_levels([0.04]) == (0.05,)
