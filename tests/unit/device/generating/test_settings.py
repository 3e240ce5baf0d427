"""One length of prompt and one batch, as the fresh process works them off."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.answer_settings import AnswerSetting, SettingTrial, setting_summary
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.language_summaries import generation_summary
from deployopt.core.measurement import Trial
from deployopt.device import turns
from deployopt.device.energy import Meter
from deployopt.device.generating.rounds import answer_round
from deployopt.device.generating.settings import LEAST, answer_setting
from deployopt.device.protocol import AnswerRequest, Reply, SettingRequest, Working
from deployopt.device.setup import Setup
from tests.fakes.comparing import trial

Draw = Callable[..., list[list[int]]]
Store = Callable[[str, list[list[int]]], Path]
JOULES = 0.5


def _request(tiny: Setup, prompts: Path, **changes: object) -> SettingRequest:
    plain: dict[str, object] = {
        "context": 64, "tokens": 6, "batch": 1, "requests": 5, "seconds": 60.0,
    }  # fmt: skip
    return SettingRequest(setup=tiny, prompts=prompts, **(plain | changes))  # type: ignore[arg-type]


def _texts(texts: Draw, *lengths: int) -> list[list[int]]:
    """Without what the tiny model pads with."""
    return [[8 if token == 7 else token for token in text] for text in texts(*lengths)]


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Reply], None]:
    """A made-up RAPL counter that gains half a joule an answer."""
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    spent = [0]

    def write() -> None:
        (zone / "energy_uj").write_text(f"{spent[0]}\n")

    (zone / "max_energy_range_uj").write_text("1000000000\n")
    write()
    monkeypatch.setattr(turns, "Meter", lambda clock: Meter(clock, tmp_path))

    def say(reply: Reply) -> None:
        if isinstance(reply, Working) and reply.what.endswith("answers"):
            spent[0] += int(JOULES * 1e6)
            write()

    return say


def test_answers_arecounted_and_their_energy_too(
    tiny: Setup, texts: Draw, stored: Store, counted: Callable[[Reply], None]
) -> None:
    request = _request(tiny, stored("prompts", _texts(texts, 9, 9, 9)))
    found = answer_setting(request, counted).round
    assert found.answers is not None
    assert found.answers.prompt_tokens == (9,) * 5
    assert found.answers.answer_tokens == (6,) * 5
    assert found.energy_j == pytest.approx(5 * JOULES)
    assert (found.mismatched, found.compared) == (0, 0)
    setting = AnswerSetting(name="short", prompt_tokens=9, answer_tokens=6)
    told = setting_summary(SettingTrial(setting=setting, round=found), Evidence.TARGET, {})
    assert told.energy_token is not None
    assert told.energy_token.value == pytest.approx(JOULES / 6)


def test_energy_a_token_of_a_judged_round(
    tiny: Setup, texts: Draw, stored: Store, counted: Callable[[Reply], None]
) -> None:
    request = AnswerRequest(
        setup=tiny, prompts=stored("prompts", texts(*range(5, 17))), expected=None, context=96,
        tokens=6, requests=11, min_s=0.0, seed=1,
    )  # fmt: skip
    found: Trial = trial([answer_round(request, counted, lambda: None).round])
    summary = generation_summary(found)
    if found.counted:
        assert summary is not None
        assert summary.energy_token is not None
        assert summary.energy_token.value == pytest.approx(JOULES / 6)
    assert found.rounds[0].energy_j == pytest.approx(11 * JOULES)


def test_rows_of_a_batch_are_compared_with_themselves_alone(
    tiny: Setup, texts: Draw, stored: Store
) -> None:
    request = _request(tiny, stored("prompts", _texts(texts, *(9,) * 8)), batch=4)
    found = answer_setting(request, lambda _: None).round
    assert (found.mismatched, found.compared) == (0, 12)
    assert found.answers is not None
    assert len(found.answers.token_s) == 5 * 5


def test_without_time_there_are_two_answers_all_the_same(
    tiny: Setup, texts: Draw, stored: Store
) -> None:
    request = _request(tiny, stored("prompts", _texts(texts, 9, 9)), seconds=0.0)
    assert len(answer_setting(request, lambda _: None).round.samples_s) == LEAST


def test_prompts_of_several_lengths_are_refused(tiny: Setup, texts: Draw, stored: Store) -> None:
    with pytest.raises(UsageError, match="equally long"):
        answer_setting(_request(tiny, stored("p", _texts(texts, 9, 10))), lambda _: None)
