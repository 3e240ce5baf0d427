"""The increase of the NLL: by token, by document, and honest about ties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.nll import nll_increase_bounds, nll_increase_p_value
from deployopt.core.scores import DocumentScore
from tests.fakes.language import scored_trial

DOCUMENTS = st.lists(
    st.tuples(st.floats(20.0, 900.0), st.sampled_from((0.0, 0.0, 0.003, 0.02, -0.01, 0.3))),
    min_size=5,
    max_size=50,
)


def documents(pairs: list[tuple[float, float]]) -> list[DocumentScore]:
    """Each by its reference's sum and its own increase."""
    return [
        DocumentScore(tokens=100, reference_nll=one, candidate_nll=one * (1.0 + more))
        for one, more in pairs
    ]


def test_every_token_weighs_the_same() -> None:
    found = nll_increase_bounds(documents([(900.0, 0.1)] + [(25.0, 0.0)] * 12))
    assert found.estimate == pytest.approx(90.0 / 1200.0)


def test_the_bounds_hold_the_increase_that_was_made() -> None:
    found = nll_increase_bounds(scored_trial(0.006).documents)
    assert 0.004 < found.lower < found.estimate < found.upper < 0.008
    assert found.upper < nll_increase_bounds(scored_trial(0.006).documents, 0.99).upper


@given(DOCUMENTS, st.floats(0.0, 0.5))
def test_p_value_and_bound_agree(pairs: list[tuple[float, float]], margin: float) -> None:
    made = documents(pairs)
    upper = nll_increase_bounds(made).upper
    if abs(upper - margin) > 1e-6:
        assert (nll_increase_p_value(made, margin) <= 0.05) == (upper < margin)


def test_copies_within_a_document_add_no_evidence() -> None:
    whole = documents([(100.0 + k, 0.001 * (k % 7)) for k in range(30)])
    doubled = [
        DocumentScore(
            tokens=2 * one.tokens,
            reference_nll=2 * one.reference_nll,
            candidate_nll=2 * one.candidate_nll,
        )
        for one in whole
    ]
    assert nll_increase_bounds(doubled).upper == pytest.approx(nll_increase_bounds(whole).upper)


def test_a_model_that_says_the_same_of_every_text_has_lost_nothing() -> None:
    same = documents([(100.0 + k, 0.0) for k in range(24)])
    found = nll_increase_bounds(same)
    assert (found.estimate, found.lower, found.upper) == (0.0, 0.0, 0.0)
    assert nll_increase_p_value(same, 0.0) == 0.0
    assert nll_increase_p_value(same, -0.01) == 1.0


def test_one_document_that_got_worse_among_ties_stands_for_those_not_seen() -> None:
    one = documents([(100.0, 0.3)] + [(100.0, 0.0)] * 23)
    found = nll_increase_bounds(one)
    # Up to 18 % of texts may be such, each twice as bad.
    assert found.upper > 0.1
    assert nll_increase_p_value(one, 0.02) > 0.05
    assert nll_increase_p_value(one, -0.01) == 1.0


@pytest.mark.parametrize(
    "wrong",
    [[(100.0, 0.1)] * 4, [(100.0, 0.1)] * 5 + [(100.0, math.nan)], [(math.inf, 0.1)] * 6],
)
def test_too_few_or_no_numbers_are_refused(wrong: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match=r"at least 5|finite"):
        nll_increase_bounds(documents(wrong))
