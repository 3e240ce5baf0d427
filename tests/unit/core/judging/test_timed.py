"""Answers at the gate: the first token by all answers, tokens a second by rounds."""

import msgspec
import pytest

from deployopt.core.budget import Budget, parse_budget
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import Trial
from deployopt.core.verdict import Check, Outcome
from tests.fakes.language import answered_trial

TTFT = parse_budget("ttft_p95", "100 ms")
DECODE = parse_budget("decode_tps_min", "50")


def check_of(budget: Budget, trial: Trial, **predictions: Estimate) -> Check:
    found = Findings(artifact=trial.artifact, latency=trial, predictions=predictions)
    (check,) = judge("t", (budget,), found).checks
    return check


@pytest.mark.parametrize(
    ("first_s", "outcome"), [(0.080, Outcome.ACCEPTED), (0.150, Outcome.REJECTED)]
)
def test_the_first_token_is_judged_by_all_answers(first_s: float, outcome: Outcome) -> None:
    check = check_of(TTFT, answered_trial(first_s, 0.02))
    assert check.outcome is outcome
    assert check.samples == 11 * 16  # a void round counts neither way


@pytest.mark.parametrize(
    ("token_s", "outcome"), [(0.018, Outcome.ACCEPTED), (0.025, Outcome.REJECTED)]
)
def test_tokens_a_second_are_bounded_from_below(token_s: float, outcome: Outcome) -> None:
    check = check_of(DECODE, answered_trial(0.08, token_s))
    assert check.outcome is outcome
    assert check.samples == 11
    assert check.observed == pytest.approx(1.0 / token_s, rel=0.02)


@pytest.mark.parametrize("budget", [TTFT, DECODE])
def test_a_round_without_answers_rejects(budget: Budget) -> None:
    trial = answered_trial(0.08, 0.018)
    silent = msgspec.structs.replace(trial.rounds[0], answers=None)
    check = check_of(budget, msgspec.structs.replace(trial, rounds=(silent, *trial.rounds[1:])))
    assert check.outcome is Outcome.REJECTED
    assert "not timed" in check.reason


@pytest.mark.parametrize("budget", [TTFT, DECODE])
def test_too_much_noise_or_too_few_rounds_decide_nothing(budget: Budget) -> None:
    trial = answered_trial(0.08, 0.018)
    noisy = tuple(
        msgspec.structs.replace(one, void="throttled") if k < 4 else one
        for k, one in enumerate(trial.rounds)
    )
    check = check_of(budget, msgspec.structs.replace(trial, rounds=noisy))
    assert check.outcome is Outcome.UNDECIDED
    assert "throttled" in check.reason
    few = msgspec.structs.replace(trial, rounds=trial.rounds[4:8])
    assert check_of(budget, few).outcome is Outcome.UNDECIDED


@pytest.mark.parametrize("budget", [TTFT, DECODE])
def test_a_crash_rejects(budget: Budget) -> None:
    crashed = msgspec.structs.replace(answered_trial(0.08, 0.018), failure="it died by SIGSEGV")
    check = check_of(budget, crashed)
    assert check.outcome is Outcome.REJECTED
    assert "SIGSEGV" in check.reason


def test_another_machines_answers_wait_for_the_target() -> None:
    proxy = answered_trial(0.08, 0.018, proxy=True)
    assert check_of(DECODE, proxy).outcome is Outcome.REJECTED  # not even predicted
    expected = Estimate(value=70.0, lower=55.0, upper=90.0, basis="by hand")
    check = check_of(DECODE, proxy, decode_tps_min=expected)
    assert check.outcome is Outcome.UNDECIDED
    assert check.predicted_inside
    assert check.evidence is Evidence.PREDICTED
