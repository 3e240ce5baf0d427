"""A language model's build, whole: figures by length and batch, and an earlier bundle beside it."""

import json
from functools import partial
from pathlib import Path

import pytest

from deployopt import api
from deployopt.core.answer_settings import SettingTrial
from deployopt.core.codec import decode_json
from deployopt.core.comparison import Change
from deployopt.core.errors import UsageError
from deployopt.core.result import BuildResult
from deployopt.device import ring
from deployopt.pipeline.language import comparing, sweeping, trying
from tests.fakes.chat import CONTEXT, sentences, write_tiny_llama
from tests.fakes.models import write_target
from tests.functional.conftest import check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that decide nothing of times: what is not timed is looked at here."""
    short = dict.fromkeys(ring.ROUND_S, 0.02)
    monkeypatch.setattr(trying, "ROUND_S", short)
    monkeypatch.setattr(trying, "WALL_S", dict.fromkeys(ring.ROUND_S, 1.0))
    monkeypatch.setattr("deployopt.device.generating.comparing.ROUND_S", short)
    monkeypatch.setattr(comparing, "Terms", partial(ring.Terms, time_limit_s=3.0))
    monkeypatch.setattr(sweeping, "SECONDS", dict.fromkeys(sweeping.SECONDS, 20.0))


def _build(room: Path, name: str, **options: object) -> BuildResult:
    return api.build(
        model=str(room / "model"),
        target=str(room / "here.toml"),
        data=str(room / "text.txt"),
        budgets={"nll_increase": "50 %"},
        output=room / name,
        store=room / "store",
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.usefixtures("_short")
def test_figures_by_length_and_batch_and_a_baseline(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "model")
    write_target(tmp_path / "here.toml", opset_max="21")
    (tmp_path / "text.txt").write_text("\n\n".join(sentences(60)))
    first = _build(tmp_path, "first")
    bundle = Path(first.bundle or "")
    check_schema("build-result", json.loads((bundle / "result.json").read_bytes()))
    assert [(s.setting.name, s.setting.batch) for s in first.settings] == [
        ("short", 1), ("half", 1), ("full", 1), ("short", 2), ("short", 4), ("short", 8),
    ]  # fmt: skip
    for one in first.settings:
        assert one.first_token is not None
        assert {"ttft_s", "prefill_tps", "decode_tps", "memory_peak"} == set(one.predicted)
        assert (one.alike is None) is (one.setting.batch == 1)
    assert first.settings[2].setting.prompt_tokens == CONTEXT - 32
    raw = (bundle / "measurements" / "settings.json").read_bytes()
    kept = decode_json(raw, tuple[SettingTrial, ...], where="settings")
    assert [trial.setting for trial in kept] == [s.setting for s in first.settings]
    second = _build(tmp_path, "second", baseline=bundle)
    assert second.baseline is not None
    found = {d.aspect: d.outcome for d in second.baseline.differences}
    assert {"ttft_p50", "decode_tps", "memory_full_context", "nll_increase"} <= set(found)
    # Whichever form won, its likelihoods are within the margin of the other's.
    assert found["nll_increase"] in {Change.SAME, Change.NO_WORSE, Change.BETTER}
    if second.baseline.outcome.value != "accepted":
        assert "Against the baseline" in (second.verdict.reasons[0] if second.verdict else "")


def test_a_baseline_that_cannot_be_compared_is_refused_before_any_work(tmp_path: Path) -> None:
    from tests.fakes.judged_decoders import make_judged_bundle

    write_tiny_llama(tmp_path / "model")
    write_target(tmp_path / "here.toml", opset_max="21")
    (tmp_path / "text.txt").write_text("\n\n".join(sentences(60)))
    other = make_judged_bundle(tmp_path / "other")
    with pytest.raises(UsageError, match="their tokenizers differ"):
        _build(tmp_path, "out", baseline=other)
