"""What people read of a language model's answers and scores."""

import msgspec
import pytest

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.language_result import GenerationSummary, ScoreSummary
from deployopt.core.language_summaries import generation_summary, score_summary
from deployopt.core.summaries import measured_of, memory_figure
from tests.fakes.language import BUDGETS, answered_trial, scored_trial
from tests.fakes.results import trial as classifier_trial


def test_answers_become_figures() -> None:
    found = generation_summary(answered_trial(0.080, 0.020), base=answered_trial(0.18, 0.040))
    assert found is not None
    assert (found.requests, found.prompt_tokens, found.answer_tokens) == (11 * 16, 48, 32)
    assert found.first_token.value == pytest.approx(0.080, rel=0.03)
    assert (found.first_token_tail.upper or 0) > (found.first_token_tail.value or 1)
    assert found.token_s is not None
    assert found.token_s.lower is None
    assert found.token_s.value == pytest.approx(0.020, rel=0.02)
    assert found.decode_tps is not None
    assert found.decode_tps.value == pytest.approx(50.0, rel=0.02)
    assert found.prefill_tps is not None
    assert found.prefill_tps.value == pytest.approx(47.5 / 0.08, rel=0.03)
    assert found.energy_token is None


def test_the_ratio_is_of_the_decode_time_and_of_paired_rounds() -> None:
    fast, base = answered_trial(0.080, 0.020, rounds=13), answered_trial(0.18, 0.040, rounds=13)
    found = generation_summary(fast, base=base)
    assert found is not None
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(0.5, rel=0.01)
    assert (found.ratio.lower or 1.0) <= 0.5 + 1e-9


def test_energy_is_told_by_token() -> None:
    trial = answered_trial(0.08, 0.02)
    rounds = tuple(msgspec.structs.replace(one, energy_j=16 * 32 * 0.25) for one in trial.rounds)
    found = generation_summary(msgspec.structs.replace(trial, rounds=rounds))
    assert found is not None
    assert found.energy_token is not None
    assert found.energy_token.value == pytest.approx(0.25)


def test_a_classifier_or_only_void_rounds_have_no_answers() -> None:
    assert generation_summary(classifier_trial("int8", 0.01)) is None
    trial = answered_trial(0.08, 0.02)
    void = tuple(msgspec.structs.replace(one, void="steal") for one in trial.rounds)
    assert generation_summary(msgspec.structs.replace(trial, rounds=void)) is None


def test_scores_become_figures() -> None:
    trial = scored_trial(0.006, disagree=0.03)
    found = score_summary(trial)
    assert (found.documents, found.prompts, found.answer_tokens) == (128, 32, 2048)
    assert found.tokens == sum(one.tokens for one in trial.documents)
    assert found.increase.value == pytest.approx(
        (found.candidate_nll or 0) / (found.reference_nll or 1) - 1
    )
    assert (found.increase.lower or 1) < (found.increase.value or 0) < (found.increase.upper or 0)
    assert (found.agreement.lower or 1) < (found.agreement.value or 0)


def test_too_few_have_a_value_and_no_bounds() -> None:
    trial = scored_trial()
    few = msgspec.structs.replace(trial, documents=trial.documents[:3], answers=trial.answers[:3])
    found = score_summary(few)
    assert found.increase.value is not None
    assert found.increase.upper is None
    assert found.agreement.lower is None
    none = score_summary(msgspec.structs.replace(trial, documents=(), answers=()))
    assert none.increase.value is None
    assert none.agreement.value is None


def test_records_survive_the_file() -> None:
    made = generation_summary(answered_trial(0.08, 0.02))
    assert decode_json(encode_json(made), GenerationSummary, where="x") == made
    scores = score_summary(scored_trial())
    assert decode_json(encode_json(scores), ScoreSummary, where="x") == scores


def test_what_was_measured_teaches_predictions() -> None:
    trial, scores = answered_trial(0.08, 0.02), scored_trial()
    found = measured_of(trial, BUDGETS, scores=scores)
    assert set(found) == {"decode_tps_min", "memory_peak", "ttft_p95"}
    assert found["decode_tps_min"].value == pytest.approx(50.0, rel=0.02)
    assert found["ttft_p95"].samples == 11 * 16
    assert found["memory_peak"].value == pytest.approx(420 * 2**20, rel=0.001)
    few = msgspec.structs.replace(trial, rounds=trial.rounds[4:8])
    assert set(measured_of(few, BUDGETS, scores=scores)) == {"memory_peak"}
    assert memory_figure(trial) is None
