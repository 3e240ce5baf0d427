"""Verifying a bundle on this machine, for real."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import decode_json, encode_pretty
from deployopt.core.errors import DeviceError, IntegrityError, StorageError, UsageError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.experience import Foreseen
from deployopt.core.measurement import Machine
from deployopt.core.signature import Trust
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome
from deployopt.device import bundle_measuring
from deployopt.device import verify as module
from deployopt.device.machine import describe_machine
from deployopt.device.verify import Verification, verify
from deployopt.signing.authenticate import Policy
from deployopt.signing.sign import make_key, sign
from deployopt.store.experiences import read_experiences
from deployopt.store.verifying import verify_bundle
from tests.fakes.devices import MadeUpDevice, idle

Make = Callable[..., Path]
on_x86 = pytest.mark.skipif(describe_machine().arch != "x86_64", reason="the target is x86_64")


@on_x86
def test_a_good_bundle_is_measured_judged_and_written_beside(
    make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_measuring, "MIN_ROUND_S", 0.05)
    bundle = make_bundle()
    before = verify_bundle(bundle)
    result = verify(bundle)
    assert result.on_target
    assert result.verdict.outcome is Outcome.ACCEPTED
    assert result.exit_code == 0
    assert result.accuracy is not None
    assert result.accuracy.trial.evidence is Evidence.TARGET
    assert result.accuracy.trial.lost == 0
    assert result.written is not None
    kept = decode_json(Path(result.written).read_bytes(), Verification, where="kept")
    assert kept.latency is not None
    assert kept.latency.failure is None
    assert len(kept.latency.rounds) >= 5
    assert [s.stage for s in result.stages] == ["Digests", "Target", "Accuracy", "Latency"]
    assert verify_bundle(bundle) == before


FORESEEN = Foreseen(
    premises="p",
    model="m" * 64,
    convolutional=False,
    estimates={"artifact_size": Estimate(value=4096.0, lower=1.0, upper=9e9, basis="made up")},
)


@on_x86
def test_on_the_target_the_figures_are_kept_beside_what_was_foreseen(
    make_bundle: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bundle_measuring, "MIN_ROUND_S", 0.02)
    bundle = make_bundle(**{"forecast.json": encode_pretty(FORESEEN).decode()})
    result = verify(bundle, store=tmp_path / "store")
    (found,) = read_experiences(tmp_path / "store")
    assert (found.metric, found.predicted, found.model) == ("artifact_size", 4096.0, "m" * 64)
    assert result.size is not None
    assert found.measured == result.size.value
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    warned = verify(bundle, store=blocked)
    assert any("not kept" in warning for warning in warned.warnings)
    assert warned.exit_code == result.exit_code


def test_on_another_machine_nothing_is_kept(
    make_bundle: Make, target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bundle_measuring, "MIN_ROUND_S", 0.02)
    board = msgspec.structs.replace(
        target, match=msgspec.structs.replace(target.match, board="Raspberry Pi 4")
    )
    files = {"target.json": encode_pretty(board), "forecast.json": encode_pretty(FORESEEN)}
    bundle = make_bundle(**{n: d.decode() for n, d in files.items()})
    verify(bundle, proxy=True, store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_measuring, "measure", lambda *_, **__: (None,))


@on_x86
@pytest.mark.slow
def test_an_accepted_release_is_remembered_and_an_older_one_refused(
    make_bundle: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("model_signing")
    _quick(monkeypatch)
    make_key(tmp_path / "K")
    policy, store = Policy(key=tmp_path / "K.pub"), tmp_path / "store"
    new = make_bundle()
    old = shutil.copytree(new, tmp_path / "old")
    for release_seq, bundle in enumerate((old, new), start=1):
        sign(bundle, tmp_path / "K", release_seq=release_seq, store=tmp_path / "signers")
    result = verify(new, store=store, policy=policy)
    assert result.exit_code == 0
    assert result.authenticity is not None
    assert result.authenticity.trust is Trust.VERIFIED
    again = verify(new, store=store, policy=policy)
    assert again.authenticity is not None
    assert again.authenticity.previous_seq == 2
    with pytest.raises(IntegrityError, match="release 2 was accepted here before"):
        verify(old, store=store, policy=policy)
    unasked = verify(old, store=store)
    assert unasked.authenticity is not None
    assert unasked.authenticity.trust is Trust.UNVERIFIED


@pytest.mark.slow
def test_what_a_proxy_accepts_is_not_remembered(
    make_bundle: Make, target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("model_signing")
    _quick(monkeypatch)
    make_key(tmp_path / "K")
    board = msgspec.structs.replace(
        target, match=msgspec.structs.replace(target.match, board="Raspberry Pi 4")
    )
    bundle = make_bundle(**{"target.json": encode_pretty(board).decode()})
    sign(bundle, tmp_path / "K", store=tmp_path / "signers")
    policy = Policy(key=tmp_path / "K.pub")
    for _ in range(2):
        result = verify(bundle, proxy=True, store=tmp_path / "store", policy=policy)
        assert result.authenticity is not None
        assert result.authenticity.previous_seq is None


def test_a_proxy_is_said_to_be_one(
    make_bundle: Make, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quick(monkeypatch)
    board = msgspec.structs.replace(
        target, match=msgspec.structs.replace(target.match, board="Raspberry Pi 4")
    )
    bundle = make_bundle(**{"target.json": encode_pretty(board).decode()})
    with pytest.raises(UsageError, match="--proxy"):
        verify(bundle)
    assert not (bundle / "verifications").exists()
    result = verify(bundle, proxy=True)
    assert not result.on_target
    assert "Raspberry Pi 4" in (result.mismatch or "")
    assert result.settle is not None
    assert result.accuracy is not None
    assert result.accuracy.trial.evidence is Evidence.PROXY


@on_x86
def test_a_runtime_outside_of_the_target_s_range_is_refused_there(
    make_bundle: Make, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quick(monkeypatch)
    old = msgspec.structs.replace(
        target, runtime=msgspec.structs.replace(target.runtime, versions=">=1.98,<1.99")
    )
    with pytest.raises(DeviceError, match="pip install"):
        verify(make_bundle(**{"target.json": encode_pretty(old).decode()}))


def test_another_model_of_the_same_name_is_refused(make_bundle: Make, assets: Path) -> None:
    bundle = make_bundle()
    (bundle / "model/model.onnx").write_bytes((assets / "image.onnx").read_bytes())
    with pytest.raises(IntegrityError):
        verify(bundle)


def test_a_model_that_is_too_new_is_refused(make_bundle: Make) -> None:
    with pytest.raises(IntegrityError, match="opset 99"):
        verify(make_bundle("future.onnx"))


def test_verifications_are_numbered(make_bundle: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _quick(monkeypatch)
    bundle = make_bundle()
    names = [Path(verify(bundle).written or "").name for _ in range(2)]
    assert names == ["001.json", "002.json"]


def test_a_bundle_that_cannot_be_written_to_is_verified_all_the_same(
    make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("The disk is full.")

    _quick(monkeypatch)
    monkeypatch.setattr(module, "add_verification", full)
    result = verify(make_bundle())
    assert result.written is None
    assert any("disk is full" in warning for warning in result.warnings)


@on_x86
@pytest.mark.openvino
def test_a_bundle_for_openvino_is_measured_and_judged_alike(
    make_bundle: Make, text_openvino: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_measuring, "MIN_ROUND_S", 0.02)
    result = verify(make_bundle(openvino=text_openvino))
    assert result.exit_code == 0
    assert result.warnings == ()
    assert result.accuracy is not None
    assert result.accuracy.trial.lost == 0
    assert result.latency is not None
    assert "openvino" in result.machine.packages


def test_a_bundle_for_openvino_says_what_to_install_where_there_is_none(
    make_bundle: Make, tmp_path: Path, machine: Machine
) -> None:
    for name in ("model.xml", "model.bin"):
        (tmp_path / name).write_text("any")
    bundle = make_bundle(openvino=tmp_path / "model.xml")
    with pytest.raises(DeviceError, match="pip install 'openvino>="):
        verify(bundle, MadeUpDevice(idle, machine))
