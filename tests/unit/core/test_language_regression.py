"""Language models against each other: what each aspect says, and that it fails closed."""

import msgspec
import pytest

from deployopt.core.comparison import Change
from deployopt.core.evidence import Evidence
from deployopt.core.language_regression import (
    agreement_difference,
    decode_difference,
    first_token_difference,
    full_context_difference,
    language_refusals,
    language_settled,
    nll_difference,
    same_scores,
)
from tests.fakes.comparing import MIB, answer_pair, trial
from tests.fakes.language import scored_trial

MARGIN = 0.05


@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [(1.0, Change.NO_WORSE), (0.8, Change.BETTER), (1.12, Change.REGRESSED)],
)
def test_times_to_the_first_token_and_between_tokens(ratio: float, outcome: Change) -> None:
    old, new = answer_pair(ratio)
    first, decode = first_token_difference(old, new, MARGIN), decode_difference(old, new, MARGIN)
    assert (first.outcome, decode.outcome) == (outcome, outcome)
    assert first.change == pytest.approx(ratio - 1, abs=0.02)
    assert decode.change == pytest.approx(ratio - 1, abs=0.02)
    assert (decode.new or 0) * ratio == pytest.approx(decode.old or 0, rel=0.03)
    assert language_settled(old, new, MARGIN)


def test_noise_leaves_times_undecided() -> None:
    old, new = answer_pair(1.05, noise=0.1)
    assert decode_difference(old, new, MARGIN).outcome is Change.UNDECIDED
    assert not language_settled(old, new, MARGIN)


def test_a_new_one_that_crashes_is_a_regression() -> None:
    old, new = answer_pair(1.0)
    gone = trial(new.rounds[:3], failure="It died.")
    assert first_token_difference(old, gone, MARGIN).outcome is Change.REGRESSED
    assert language_settled(old, gone, MARGIN)
    assert language_refusals(scored_trial(), gone) == ("It died.",)


@pytest.mark.parametrize(
    ("increase", "margin", "outcome"),
    [
        (0.006, 0.02, Change.NO_WORSE),
        (0.05, 0.02, Change.REGRESSED),
        (-0.01, 0.02, Change.BETTER),
        (0.0205, 0.02, Change.UNDECIDED),
    ],
)
def test_the_likelihood_by_its_interval(increase: float, margin: float, outcome: Change) -> None:
    found = nll_difference(scored_trial(increase), margin)
    assert found.outcome is outcome
    assert found.change == pytest.approx(increase, abs=0.004)
    assert (found.settle is None) is (outcome is not Change.UNDECIDED)


def test_likelihoods_that_prove_nothing_are_undecided() -> None:
    few = scored_trial(0.0, documents=4)
    assert nll_difference(few, 0.02).outcome is Change.UNDECIDED
    proxy = scored_trial(0.0, evidence=Evidence.PROXY, exact_arithmetic=False)
    found = nll_difference(proxy, 0.02)
    assert (found.outcome, found.settle) == (Change.UNDECIDED, "run it on the target")
    assert same_scores(few, 0.02).outcome is Change.SAME


def test_documents_that_are_no_numbers_refuse_the_whole() -> None:
    told = language_refusals(scored_trial(non_finite=2), answer_pair(1.0)[1])
    assert told == ("The new one's likelihoods of 2 of 130 documents are not finite numbers.",)


def test_agreement_is_told_and_not_judged() -> None:
    found = agreement_difference(scored_trial(disagree=0.4))
    assert found is not None
    assert (found.outcome, found.limit) == (Change.CHANGED, None)
    assert found.change == pytest.approx(0.4, abs=0.03)
    assert (found.lower or 1.0) < (found.change or 0.0) < (found.upper or 0.0)
    same = agreement_difference(scored_trial(disagree=0.0))
    assert same is not None
    assert same.outcome is Change.SAME
    few = msgspec.structs.replace(scored_trial(), answers=())
    assert agreement_difference(few) is None


@pytest.mark.parametrize(
    ("share", "outcome"),
    [
        (1.0, Change.NO_WORSE),
        (1.05, Change.UNDECIDED),
        (1.2, Change.REGRESSED),
        (0.5, Change.BETTER),
    ],
)
def test_a_filled_context_is_off_by_as_much_as_the_rounds(share: float, outcome: Change) -> None:
    trials = answer_pair(1.0)
    found = full_context_difference(100 * MIB, int(100 * MIB * share), trials, MARGIN)
    assert found is not None
    assert found.outcome is outcome
    off = (found.upper or 0.0) - (found.change or 0.0)
    assert 0.005 < off < 0.03
    assert full_context_difference(None, 100 * MIB, trials, MARGIN) is None


def test_a_filled_context_beside_too_few_rounds_is_undecided() -> None:
    found = full_context_difference(100 * MIB, 200 * MIB, answer_pair(1.0, rounds=4), MARGIN)
    assert found is not None
    assert (found.outcome, found.change, found.lower) == (Change.UNDECIDED, 1.0, None)
