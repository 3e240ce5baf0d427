"""Scores at the gate: accepted, rejected, undecided, and closed where something is missing."""

import math
from typing import Any

import msgspec
import pytest

from deployopt.core.budget import Budget, parse_budget
from deployopt.core.choices import QuestionScore
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.judging.scored import scores_p_value
from deployopt.core.scores import AnswerScore, DocumentScore, ScoreTrial
from deployopt.core.verdict import Check, Outcome, Verdict
from tests.fakes.language import scored_trial

NLL = parse_budget("nll_increase", "2 %")
AGREEMENT = parse_budget("agreement", "90 %")


def verdict_of(budget: Budget, trial: ScoreTrial | None, **more: Any) -> Verdict:
    artifact = "a" * 64 if trial is None else trial.artifact
    return judge("t", (budget,), Findings(artifact=artifact, scores=trial, **more))


def check_of(budget: Budget, trial: ScoreTrial | None, **more: Any) -> Check:
    (check,) = verdict_of(budget, trial, **more).checks
    return check


@pytest.mark.parametrize(
    ("increase", "outcome"),
    [(0.006, Outcome.ACCEPTED), (0.02, Outcome.UNDECIDED), (0.05, Outcome.REJECTED)],
)
def test_the_whole_bound_of_the_increase_decides(increase: float, outcome: Outcome) -> None:
    check = check_of(NLL, scored_trial(increase))
    assert check.outcome is outcome
    assert check.samples == 128
    assert check.observed == pytest.approx(increase, rel=0.1)
    assert "tokens of 128 documents" in check.reason
    assert (check.settle is None) == (outcome is not Outcome.UNDECIDED)


@pytest.mark.parametrize(
    ("differing", "outcome"),
    [(0.02, Outcome.ACCEPTED), (0.1, Outcome.UNDECIDED), (0.3, Outcome.REJECTED)],
)
def test_agreement_is_bounded_from_below(differing: float, outcome: Outcome) -> None:
    check = check_of(AGREEMENT, scored_trial(disagree=differing))
    assert check.outcome is outcome
    assert check.samples == 32
    assert check.observed == pytest.approx(1.0 - differing, abs=0.02)


@pytest.mark.parametrize("budget", [NLL, AGREEMENT])
def test_a_missing_score_or_missing_answers_reject(budget: Budget) -> None:
    assert verdict_of(budget, None).outcome is Outcome.REJECTED
    empty = (AnswerScore(tokens=0, agreed=0),) * 9
    nothing = msgspec.structs.replace(scored_trial(), documents=(), answers=empty)
    assert verdict_of(budget, nothing).outcome is Outcome.REJECTED


@pytest.mark.parametrize("budget", [NLL, AGREEMENT])
def test_four_units_settle_nothing(budget: Budget) -> None:
    few = scored_trial()
    few = msgspec.structs.replace(few, documents=few.documents[:4], answers=few.answers[:4])
    check = check_of(budget, few)
    assert check.outcome is Outcome.UNDECIDED
    assert "at least 5" in (check.settle or "")
    assert scores_p_value(few, (budget,)) == 1.0


def test_a_likelihood_that_is_no_number_rejects_whatever_the_budgets_are() -> None:
    verdict = verdict_of(AGREEMENT, scored_trial(disagree=0.0, non_finite=1))
    assert verdict.outcome is Outcome.REJECTED
    assert "1 of 129 documents" in verdict.reasons[0]


def test_a_reference_that_is_no_number_rejects() -> None:
    broken = DocumentScore(tokens=9, reference_nll=math.nan, candidate_nll=9.0)
    trial = scored_trial()
    trial = msgspec.structs.replace(trial, documents=(*trial.documents, broken))
    check = check_of(NLL, trial)
    assert check.outcome is Outcome.REJECTED
    assert "finite" in check.reason
    assert scores_p_value(trial, (NLL,)) == 1.0


@pytest.mark.parametrize("budget", [NLL, AGREEMENT])
def test_foreign_arithmetic_cannot_vouch(budget: Budget) -> None:
    foreign = scored_trial(exact_arithmetic=False, evidence=Evidence.PROXY)
    check = check_of(budget, foreign)
    assert check.outcome is Outcome.UNDECIDED
    assert "verify" in (check.settle or "")
    exact = scored_trial(evidence=Evidence.PROXY)
    assert check_of(budget, exact).outcome is Outcome.ACCEPTED
    at_home = scored_trial(exact_arithmetic=False)
    assert check_of(budget, at_home).outcome is Outcome.ACCEPTED


def test_what_is_undecided_says_how_many_documents_would_settle_it() -> None:
    near = check_of(NLL, scored_trial(0.018, documents=24))
    assert near.outcome is Outcome.UNDECIDED
    assert (near.settle or "").startswith("evaluate on about")
    assert (near.settle or "").endswith("more documents")
    observed = near.observed or 0.0
    at = check_of(Budget(metric="nll_increase", limit=observed), scored_trial(0.018, documents=24))
    assert "no number of documents" in (at.settle or "")


def test_more_candidates_ask_for_a_higher_confidence() -> None:
    plain, family = (check_of(NLL, scored_trial(), accuracy_confidence=c) for c in (0.95, 0.995))
    assert (plain.upper or 0) < (family.upper or 0)
    assert family.confidence == 0.995


def test_the_p_value_of_a_sequence_is_the_worst_budgets() -> None:
    trial = scored_trial(0.006, disagree=0.1)
    alone = [scores_p_value(trial, (budget,)) for budget in (NLL, AGREEMENT)]
    assert alone[0] < 0.001
    assert alone[1] > 0.05
    assert scores_p_value(trial, (NLL, AGREEMENT)) == alone[1]
    assert scores_p_value(trial, (parse_budget("memory_peak", "1 GiB"),)) == 0.0
    assert scores_p_value(msgspec.structs.replace(trial, non_finite=1), ()) == 1.0


@pytest.mark.parametrize("increase", [0.004, 0.0195, 0.0202, 0.03])
def test_p_value_and_verdict_agree(increase: float) -> None:
    trial = scored_trial(increase)
    accepted = check_of(NLL, trial).outcome is Outcome.ACCEPTED
    assert accepted == (scores_p_value(trial, (NLL,)) <= 0.05)


ACCURACY = parse_budget("accuracy_drop", "1 pt")


def asked(lost: int, *, broken: int = 0) -> ScoreTrial:
    """A thousand questions, of which all but the lost are right with both."""
    picks = [1] * lost + [None] * broken
    questions = tuple(
        QuestionScore(choices=4, answer=0, reference=0, candidate=pick)
        for pick in (*picks, *[0] * (1000 - len(picks)))
    )
    return msgspec.structs.replace(scored_trial(), questions=questions)


def test_questions_count_in_the_sequence_at_the_gate() -> None:
    few, many = (scores_p_value(asked(lost), (ACCURACY,)) for lost in (1, 30))
    assert few < 0.01
    assert many > 0.99
    assert scores_p_value(asked(1), (ACCURACY, NLL)) >= few


def test_without_questions_or_with_odd_ones_nothing_is_proved() -> None:
    assert scores_p_value(scored_trial(), (ACCURACY,)) == 1.0
    assert scores_p_value(asked(0, broken=1), (ACCURACY,)) == 1.0
    assert verdict_of(ACCURACY, scored_trial()).outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("increase", "outcome", "provisional"),
    [(0.006, Outcome.UNDECIDED, True), (0.02, Outcome.UNDECIDED, False),
     (0.05, Outcome.REJECTED, False)],
)  # fmt: skip
def test_what_answered_in_its_place_accepts_nothing(
    increase: float, outcome: Outcome, *, provisional: bool
) -> None:
    """A stand-in may show that it loses too much; that it does not is for the card to show."""
    trial = scored_trial(increase, evidence=Evidence.PROXY, stand_in="a twin")
    verdict = verdict_of(NLL, trial)
    (check,) = verdict.checks
    assert check.outcome is verdict.outcome is outcome
    assert verdict.provisional is provisional
    if provisional:
        assert check.reason.endswith("; answered by a twin")
        assert check.settle is not None
