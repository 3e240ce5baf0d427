"""Raw rounds of a setting become figures; what was left out keeps its reason."""

import msgspec
import pytest

from deployopt.core.answer_settings import AnswerSetting, SettingTrial, setting_summary
from deployopt.core.evidence import Estimate, Evidence
from tests.fakes.comparing import answer_round

SETTING = AnswerSetting(name="short", prompt_tokens=10, answer_tokens=5)
PREDICTED = {"ttft_s": Estimate(value=0.002, lower=0.001, upper=0.004, basis="by hand")}


def test_the_figures_of_one_setting() -> None:
    trial = SettingTrial(setting=SETTING, round=answer_round(0.01))
    found = setting_summary(trial, Evidence.PROXY, PREDICTED)
    assert found.first_token is not None
    assert found.first_token.value == pytest.approx(0.002)
    assert found.first_token.evidence is Evidence.PROXY
    assert (found.first_token.lower, found.first_token.upper) == (None, None)
    assert found.first_token_tail is None  # of three answers
    assert found.decode_tps is not None
    assert found.decode_tps.value == pytest.approx(500.0)
    assert found.prefill_tps is not None
    assert found.prefill_tps.value == pytest.approx(5000.0)
    assert (found.alike, found.energy_token, found.predicted) == (None, None, PREDICTED)


def test_rates_of_a_batch_are_of_all_rows() -> None:
    batch = msgspec.structs.replace(SETTING, batch=4)
    made = msgspec.structs.replace(answer_round(0.01), compared=64, mismatched=16, energy_j=1.2)
    found = setting_summary(SettingTrial(setting=batch, round=made), Evidence.TARGET, {})
    assert found.decode_tps is not None
    assert found.decode_tps.value == pytest.approx(2000.0)
    assert found.alike == 0.75
    assert found.energy_token is not None
    assert found.energy_token.value == pytest.approx(1.2 / (3 * 5 * 4))
    assert batch.words == "prompts of 10 tokens, 4 at a time"


def test_what_was_left_out_keeps_its_reason() -> None:
    trial = SettingTrial(setting=SETTING, left_out="no time")
    found = setting_summary(trial, Evidence.TARGET, PREDICTED)
    assert (found.first_token, found.note, found.predicted) == (None, "no time", PREDICTED)
    void = msgspec.structs.replace(answer_round(0.01), void="steal")
    assert (
        setting_summary(SettingTrial(setting=SETTING, round=void), Evidence.TARGET, {}).note
        == "steal"
    )
