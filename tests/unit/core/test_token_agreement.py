"""Agreement with the reference: a count, so that perfect agreement proves only so much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.scores import AnswerScore
from deployopt.core.token_agreement import token_agreement_bounds, token_agreement_p_value

ANSWERS = st.lists(
    st.integers(1, 64).flatmap(
        lambda n: st.tuples(st.just(n), st.one_of(st.just(n), st.integers(0, n)))
    ),
    min_size=5,
    max_size=60,
)


def answers(pairs: list[tuple[int, int]]) -> list[AnswerScore]:
    return [AnswerScore(tokens=n, agreed=k) for n, k in pairs]


@pytest.mark.parametrize("prompts", [24, 32, 128])
def test_agreement_everywhere_is_bounded_by_the_rule_of_three(prompts: int) -> None:
    found = token_agreement_bounds(answers([(64, 64)] * prompts))
    assert found.estimate == found.upper == 1.0
    assert found.lower == pytest.approx(0.05 ** (1 / prompts))


def test_long_answers_weigh_more() -> None:
    found = token_agreement_bounds(answers([(64, 32)] + [(8, 8)] * 11))
    assert found.estimate == pytest.approx(1.0 - 32 / 152)


def test_empty_answers_do_not_count() -> None:
    some = answers([(64, 60), (64, 64), (64, 62), (64, 63), (64, 61)])
    assert token_agreement_bounds([*some, *answers([(0, 0)] * 9)]) == token_agreement_bounds(some)
    with pytest.raises(ValueError, match="at least 5"):
        token_agreement_bounds(answers([(64, 60)] * 4 + [(0, 0)] * 9))


@given(ANSWERS, st.floats(0.0, 1.0))
def test_p_value_and_bound_agree(pairs: list[tuple[int, int]], margin: float) -> None:
    made = answers(pairs)
    found = token_agreement_bounds(made)
    assert 0.0 <= found.lower <= found.estimate <= found.upper <= 1.0
    if abs(found.lower - margin) > 1e-6:
        assert (token_agreement_p_value(made, margin) <= 0.05) == (found.lower > margin)


@given(ANSWERS)
def test_a_few_that_differ_prove_no_more_than_none(pairs: list[tuple[int, int]]) -> None:
    """The exact floor: of G prompts without a difference at least."""
    found = token_agreement_bounds(answers([(64, 64 if n == k else 0) for n, k in pairs]))
    assert found.lower <= 0.05 ** (1 / len(pairs)) + 1e-9
