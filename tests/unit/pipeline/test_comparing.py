"""A verdict with the comparison against a baseline counted."""

import pytest

from deployopt.core.verdict import Outcome
from deployopt.pipeline.comparing import read_baseline, with_baseline
from tests.fakes import results
from tests.fakes.comparing import comparison, crashed


@pytest.mark.parametrize("word", ["accepted", "provisional", "undecided"])
def test_no_worse_leaves_a_verdict_as_it_is(word: str) -> None:
    verdict = results.verdict(word)
    assert with_baseline(verdict, comparison()) is verdict
    assert with_baseline(verdict, None) is verdict


@pytest.mark.parametrize("word", ["accepted", "provisional", "undecided"])
def test_a_regression_rejects(word: str) -> None:
    judged = with_baseline(results.verdict(word), comparison(Outcome.REJECTED))
    assert (judged.outcome, judged.provisional, judged.exit_code()) == (Outcome.REJECTED, False, 1)
    assert judged.exit_code(accept_predicted=True) == 1
    assert "Against the baseline /home/ada/bundles/demo-old: regressed: latency p50" in " ".join(
        judged.reasons
    )


@pytest.mark.parametrize("word", ["accepted", "provisional"])
def test_what_is_undecided_is_not_accepted(word: str) -> None:
    judged = with_baseline(results.verdict(word), comparison(Outcome.UNDECIDED))
    assert (judged.outcome, judged.provisional) == (Outcome.UNDECIDED, False)
    assert judged.exit_code(accept_predicted=True) == 3
    assert "easure again on a quiet machine" in " ".join(judged.reasons)


def test_a_new_one_that_answers_with_no_number_is_rejected() -> None:
    judged = with_baseline(results.verdict("accepted"), crashed())
    assert judged.outcome is Outcome.REJECTED
    assert "not finite" in " ".join(judged.reasons)


def test_no_baseline_is_none() -> None:
    assert read_baseline(None) is None
