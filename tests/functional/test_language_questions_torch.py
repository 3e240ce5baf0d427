"""A build that is asked questions with choices, and `verify` that asks them again."""

import json
from pathlib import Path

import pytest

from deployopt import api
from deployopt.core.choices import decode_questions
from deployopt.core.verdict import Outcome, Verdict
from deployopt.device import ring
from deployopt.pipeline.language import sweeping, trying
from tests.fakes.chat import sentences, write_tiny_llama
from tests.fakes.models import write_target
from tests.functional.conftest import check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds that decide nothing of times."""
    monkeypatch.setattr(trying, "ROUND_S", dict.fromkeys(ring.ROUND_S, 0.02))
    monkeypatch.setattr(trying, "WALL_S", dict.fromkeys(ring.ROUND_S, 1.0))
    monkeypatch.setattr(sweeping, "SECONDS", dict.fromkeys(sweeping.SECONDS, 1.0))
    monkeypatch.setattr("deployopt.device.bundle_measuring.MIN_ROUND_S", 0.02)


def outcome(verdict: Verdict | None) -> tuple[Outcome, str]:
    assert verdict is not None
    (check,) = [one for one in verdict.checks if one.metric == "accuracy_drop"]
    return check.outcome, check.reason


@pytest.mark.usefixtures("_short")
def test_questions_are_judged_bundled_and_asked_again(tmp_path: Path) -> None:
    write_tiny_llama(tmp_path / "model")
    write_target(tmp_path / "here.toml", opset_max="21")
    texts = sentences(60)
    (tmp_path / "text.txt").write_text("\n\n".join(texts))
    lines = (
        {"question": f"{text} {n}", "choices": [f"{texts[n - k][:12]} {k}" for k in range(4)],
         "answer": "ABCD"[n % 4]}
        for n, text in enumerate(texts)
    )  # fmt: skip
    (tmp_path / "q.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    result = api.build(
        model=tmp_path / "model",
        target=tmp_path / "here.toml",
        data=tmp_path / "text.txt",
        questions=tmp_path / "q.jsonl",
        budgets={"accuracy_drop": "45 pt", "nll_increase": "50 %"},
        output=tmp_path / "out",
        store=tmp_path / "store",
    )
    assert result.questions is not None
    assert result.questions.splits == {"search": 12, "gate": 48}
    assert result.gate is not None
    assert result.gate.trial.examples == 48
    assert all(
        c.accuracy is not None and c.accuracy.trial.examples == 12 for c in result.candidates
    )
    assert result.plan.gate_examples == 48
    # A model that was never taught anything guesses, and that proves nothing.
    judged, reason = outcome(result.verdict)
    assert judged is Outcome.UNDECIDED
    assert "of 48 questions; the reference has" in reason
    assert "guessing 25.0 %" in reason
    bundle = Path(result.bundle or "")
    check_schema("build-result", json.loads((bundle / "result.json").read_bytes()))
    assert len(decode_questions(bundle / "gate" / "choices.npz")) == 48
    lineage = json.loads((bundle / "lineage.json").read_bytes())
    assert lineage["questions"]["files"][0]["path"] == "q.jsonl"
    assert {"questions/search", "questions/gate"} <= set(lineage["splits"])
    assert '"role": "questions"' in (bundle / "provenance.json").read_text()
    again = api.verify(bundle, store=tmp_path / "store", proxy=True)
    assert outcome(again.verdict) == (judged, reason)
    assert again.accuracy is not None
    assert again.accuracy.trial.lost == result.gate.trial.lost
