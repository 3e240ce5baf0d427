"""Whether the new one is worse: each aspect, and how often the whole errs on simulated rounds."""

import math

import msgspec
import numpy as np
import pytest

from benchmarks.gate_clocks import ROUND_NOISE, compare_outcomes
from benchmarks.gate_simulation import NOMINAL
from deployopt.core.comparison import Change
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import CardConditions, Round, Trial
from deployopt.core.regression import (
    accuracy_difference,
    latency_difference,
    memory_difference,
    outcome_of,
    refusals_of,
    round_pairs,
    same_answers,
    settled,
    size_difference,
)
from deployopt.core.verdict import Outcome
from tests.fakes.comparing import MIB, answers, one_round, pair, trial

MARGIN = 0.05


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1.0, Change.NO_WORSE),
        (0.8, Change.BETTER),
        (1.2, Change.REGRESSED),
        (1.05, Change.UNDECIDED),
    ],
)
def test_latency_by_one_interval(ratio: float, expected: Change) -> None:
    found = latency_difference(*pair(ratio, rounds=48), MARGIN)
    assert found.outcome is expected
    assert found.change == pytest.approx(ratio - 1, abs=0.03)
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < ratio - 1 < found.upper
    assert (found.limit, found.evidence) == (MARGIN, Evidence.TARGET)
    assert (found.settle is not None) == (expected is Change.UNDECIDED)


def test_what_is_undecided_says_which_margin_would_do() -> None:
    found = latency_difference(*pair(1.05, rounds=48), MARGIN)
    assert found.upper is not None
    assert f"allow {math.ceil(100 * found.upper)} %" in str(found.settle)


def test_too_few_rounds_ask_for_more_time() -> None:
    found = latency_difference(*pair(1.0, rounds=7), MARGIN)
    assert (found.outcome, found.lower, found.confidence) == (Change.UNDECIDED, None, None)
    assert "12 are needed" in found.reason


def test_a_noisy_machine_decides_nothing_of_time_and_all_of_memory() -> None:
    old, new = pair(1.5, rounds=24)
    void = [msgspec.structs.replace(r, void="throttled") for r in new.rounds[:8]]
    noisy = msgspec.structs.replace(new, rounds=(*void, *new.rounds[8:]))
    found = latency_difference(old, noisy, MARGIN)
    assert found.outcome is Change.UNDECIDED
    assert "8 of 24 rounds are void (throttled)" in found.reason
    assert memory_difference(old, noisy, MARGIN).outcome is Change.NO_WORSE


def test_memory_by_its_peaks() -> None:
    found = memory_difference(*pair(1.0, memory=1.10), MARGIN)
    assert found.outcome is Change.REGRESSED
    assert found.old == pytest.approx(90 * MIB, rel=0.01)
    assert memory_difference(*pair(1.0, memory=0.7), MARGIN).outcome is Change.BETTER


def test_memory_that_a_card_does_not_tell_is_open_and_no_number() -> None:
    old, new = pair(1.0, noise=0.005, rounds=12)
    untold = msgspec.structs.replace(new, rounds=tuple(map(_on_a_card, new.rounds)))
    for arms in ((untold, untold), (old, untold), (untold, new)):
        found = memory_difference(*arms, MARGIN)
        assert (found.outcome, found.old, found.new) == (Change.UNDECIDED, None, None)
        assert found.settle == "pip install nvidia-ml-py there, where the card's driver has NVML"
    assert round_pairs(old, untold)[0].new_peak_bytes is None
    # More rounds would tell no more of it.
    assert settled(untold, untold, MARGIN)


def _on_a_card(one: Round) -> Round:
    seen = msgspec.structs.replace(one.conditions, card=CardConditions())
    return msgspec.structs.replace(one, conditions=seen)


def test_a_new_one_that_fails_is_a_regression_and_an_old_one_leaves_it_open() -> None:
    fine, broken = trial([one_round(0.01)]), trial([one_round(0.01)], failure="It crashed.")
    for judge in (latency_difference, memory_difference):
        assert judge(fine, broken, MARGIN).outcome is Change.REGRESSED
        assert judge(broken, fine, MARGIN).outcome is Change.UNDECIDED
    assert settled(fine, broken, MARGIN)
    assert refusals_of(answers(0, 0), broken) == ("It crashed.",)
    assert "3 of 3000" in refusals_of(answers(0, 0, non_finite=3), fine)[0]


@pytest.mark.parametrize(
    ("lost", "gained", "expected"),
    [
        (30, 30, Change.NO_WORSE),
        (0, 0, Change.NO_WORSE),
        (10, 60, Change.BETTER),
        (120, 20, Change.REGRESSED),
        (50, 30, Change.UNDECIDED),
    ],
)
def test_accuracy(lost: int, gained: int, expected: Change) -> None:
    found = accuracy_difference(answers(lost, gained), 0.01)
    assert found.outcome is expected
    assert found.change == pytest.approx((lost - gained) / 3000)
    assert found.old is not None
    assert found.new == pytest.approx(found.old - (lost - gained) / 3000)
    if expected is Change.UNDECIDED:
        assert "more gate examples" in str(found.settle)


def test_a_loss_of_the_margin_itself_is_settled_by_no_number_of_examples() -> None:
    assert "no number" in str(accuracy_difference(answers(60, 30), 0.01).settle)


def test_made_up_inputs_and_another_arithmetic_prove_nothing() -> None:
    assert accuracy_difference(answers(0, 0, synthetic=True), 0.01).outcome is Change.UNDECIDED
    other = msgspec.structs.replace(answers(0, 0), exact_arithmetic=False, evidence=Evidence.PROXY)
    assert accuracy_difference(other, 0.01).outcome is Change.UNDECIDED


def test_the_same_model_gives_the_same_answers_even_on_few_examples() -> None:
    few = answers(0, 0, examples=20)
    assert accuracy_difference(few, 0.01).outcome is Change.UNDECIDED
    found = same_answers(few, 0.01)
    assert (found.outcome, found.evidence, found.upper) == (Change.SAME, Evidence.EXACT, 0.0)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (1000, Change.SAME),
        (990, Change.BETTER),
        (1050, Change.NO_WORSE),
        (1051, Change.REGRESSED),
    ],
)
def test_size_is_exact(new: int, expected: Change) -> None:
    assert size_difference(1000, new, MARGIN).outcome is expected


def test_one_regression_rejects_and_one_doubt_leaves_it_open() -> None:
    good = size_difference(1000, 1000, MARGIN)
    bad = size_difference(1000, 2000, MARGIN)
    open_one = latency_difference(*pair(1.0, rounds=3), MARGIN)
    assert outcome_of([good]) is Outcome.ACCEPTED
    assert outcome_of([good, open_one]) is Outcome.UNDECIDED
    assert outcome_of([good, open_one, bad]) is Outcome.REJECTED
    assert outcome_of([good], refusals=("It crashed.",)) is Outcome.REJECTED


def test_rounds_are_kept_in_pairs() -> None:
    old, new = pair(1.1, rounds=12)
    pairs = round_pairs(old, new)
    assert len(pairs) == 12
    assert np.median([p.new_s / p.old_s for p in pairs]) == pytest.approx(1.1, rel=0.03)


def test_rounds_end_when_time_and_memory_are_settled() -> None:
    assert settled(*pair(1.0, noise=0.005, rounds=12), MARGIN)
    assert not settled(*pair(1.0, noise=0.05, rounds=12), MARGIN)
    still = _same_time(*pair(1.0, rounds=12, memory=1.05))
    assert not settled(*still, MARGIN)


def _same_time(old: Trial, new: Trial) -> tuple[Trial, Trial]:
    rounds = [
        msgspec.structs.replace(r, samples_s=o.samples_s)
        for o, r in zip(old.rounds, new.rounds, strict=True)
    ]
    return old, msgspec.structs.replace(new, rounds=tuple(rounds))


@pytest.mark.parametrize("runs", [2_000])
def test_a_bundle_beside_itself_is_accepted_and_not_called_faster(runs: int) -> None:
    found = compare_outcomes(1.0, MARGIN, runs, noise=ROUND_NOISE)
    assert found[Change.REGRESSED] == 0
    assert found[Change.UNDECIDED] <= 0.01 * runs
    assert found[Change.BETTER] <= NOMINAL.most(runs)


@pytest.mark.parametrize("runs", [2_000])
def test_slower_by_the_margin_is_wrongly_judged_as_seldom_as_asked(runs: int) -> None:
    found = compare_outcomes(1.0 + MARGIN, MARGIN, runs, noise=ROUND_NOISE)
    assert found[Change.NO_WORSE] + found[Change.BETTER] <= NOMINAL.most(runs)
    assert found[Change.REGRESSED] <= NOMINAL.most(runs)


@pytest.mark.parametrize("runs", [2_000])
def test_slower_by_more_than_twice_the_margin_is_found(runs: int) -> None:
    twice = compare_outcomes(1.10, MARGIN, runs, noise=ROUND_NOISE)
    assert twice[Change.NO_WORSE] + twice[Change.BETTER] == 0
    assert twice[Change.REGRESSED] >= 0.99 * runs
    assert compare_outcomes(1.15, MARGIN, runs, noise=ROUND_NOISE)[Change.REGRESSED] == runs
