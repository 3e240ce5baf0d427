"""Verifying a language model's bundle on this machine, for real."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import decode_json
from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.core.measurement import Machine
from deployopt.core.verdict import Outcome
from deployopt.device import bundle_measuring
from deployopt.device.machine import describe_machine
from deployopt.device.verify import Verification, verify
from deployopt.store.verifying import verify_bundle
from tests.fakes.decoders import TinyDecoder
from tests.fakes.devices import MadeUpDevice, idle
from tests.fakes.judged_decoders import BUDGETS, make_judged_bundle

on_x86 = pytest.mark.skipif(describe_machine().arch != "x86_64", reason="the target is x86_64")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_measuring, "MIN_ROUND_S", 0.02)


@on_x86
def test_a_good_language_model_is_measured_judged_and_written_beside(tmp_path: Path) -> None:
    bundle = make_judged_bundle(tmp_path / "bundle")
    before = verify_bundle(bundle)
    result = verify(bundle, store=tmp_path / "store")
    outcomes = {check.metric: check.outcome for check in result.verdict.checks}
    assert set(outcomes) == {budget.metric for budget in BUDGETS}
    # A busy machine may spoil rounds, which leaves times undecided; nothing else depends on them.
    for metric in ("nll_increase", "agreement", "memory_peak", "artifact_size"):
        assert outcomes[metric] is Outcome.ACCEPTED
    assert Outcome.REJECTED not in outcomes.values()
    assert result.accuracy is None
    assert result.scores is not None
    assert result.scores.increase.value == pytest.approx(0.0, abs=1e-6)
    assert result.scores.agreement.value == 1.0
    assert [s.stage for s in result.stages] == ["Digests", "Target", "Quality", "Latency"]
    assert result.written is not None
    kept = decode_json(Path(result.written).read_bytes(), Verification, where="kept")
    assert kept.scores is not None
    assert kept.scores.full_context_rss_bytes is not None
    assert kept.latency is not None
    assert kept.latency.failure is None
    assert all(one.answers is not None for one in kept.latency.rounds)
    if any(one.void is None for one in kept.latency.rounds):
        assert result.generation is not None
        assert result.generation.answer_tokens == 32
    assert verify_bundle(bundle) == before


@on_x86
def test_one_that_says_other_things_than_its_reference_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_measuring, "measure", lambda *_, **__: (None,))
    bundle = make_judged_bundle(tmp_path / "bundle", reference=TinyDecoder(seed=4))
    result = verify(bundle, store=tmp_path / "store")
    assert result.exit_code == 1
    rejected = {c.metric for c in result.verdict.checks if c.outcome is Outcome.REJECTED}
    assert {"nll_increase", "agreement"} <= rejected


@on_x86
def test_without_a_gate_nothing_is_accepted(tmp_path: Path) -> None:
    bundle = make_judged_bundle(tmp_path / "bundle", without="gate/reference.npz")
    result = verify(bundle, store=tmp_path / "store")
    assert result.exit_code == 1
    assert result.latency is None


def test_a_changed_byte_is_found_before_the_runtime_sees_it(tmp_path: Path) -> None:
    bundle = make_judged_bundle(tmp_path / "bundle")
    config = bundle / "model" / "genai_config.json"
    config.write_bytes(config.read_bytes().replace(b"llama", b"gemma"))
    with pytest.raises(IntegrityError, match=r"genai_config.json' has other bytes"):
        verify(bundle)


@on_x86
def test_where_the_runtime_is_missing_it_is_said_how_to_get_it(
    tmp_path: Path, machine: Machine
) -> None:
    bundle = make_judged_bundle(tmp_path / "bundle")
    with pytest.raises(DeviceError, match=r"pip install 'deployopt\[chat\]'"):
        verify(bundle, MadeUpDevice(idle, machine))
    other = msgspec.structs.replace(
        machine, packages={"onnxruntime": "1.31.1", "onnxruntime-genai": "0.99.0"}
    )
    with pytest.raises(DeviceError, match="made-up device answers no examples"):
        verify(bundle, MadeUpDevice(idle, other))
