"""What the rounds that count say of answers."""

import msgspec
import pytest

from deployopt.core.answer_rounds import (
    answered,
    decode_rates,
    first_tokens,
    joules_a_token,
    prefill_rates,
)
from tests.fakes.language import answered_trial
from tests.fakes.results import trial as classifier_trial

TRIAL = answered_trial(0.08, 0.02, rounds=6)


def test_void_rounds_say_nothing() -> None:
    assert len(first_tokens(TRIAL)) == len(decode_rates(TRIAL)) == len(prefill_rates(TRIAL)) == 5
    assert answered(TRIAL)


def test_a_round_without_answers_is_empty_or_left_out() -> None:
    plain = classifier_trial("int8", 0.01, rounds=5)
    assert first_tokens(plain) == [()] * 5
    assert decode_rates(plain) == prefill_rates(plain) == joules_a_token(plain) == []
    assert not answered(plain)


def test_joules_are_shared_by_the_tokens_of_the_answers() -> None:
    counted = tuple(msgspec.structs.replace(one, energy_j=51.2) for one in TRIAL.rounds)
    found = joules_a_token(msgspec.structs.replace(TRIAL, rounds=counted))
    assert found == pytest.approx([0.1] * 5)
