"""Comparing real bundles: the answers are real, the clock is made up."""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchmarks import aa
from deployopt.core.codec import decode_json, encode_pretty
from deployopt.core.comparison import Change, Comparison, FailOn
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.result import CompareResult
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.compare import compare
from deployopt.device.machine import describe_machine
from deployopt.device.ring import Terms
from tests.fakes.devices import MadeUpDevice, idle
from tests.fakes.judged_decoders import make_judged_bundle
from tests.fakes.paced import PacedDevice
from tests.fakes.slowed import negated, slowed

on_x86 = pytest.mark.skipif(describe_machine().arch != "x86_64", reason="the target is x86_64")
pytestmark = on_x86
WIDE = Terms(margin=0.05, accuracy=0.05)


@pytest.fixture
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle()


@pytest.fixture
def opened(bundle: Path) -> OpenBundle:
    return open_bundle(bundle)


@pytest.fixture
def other(bundle: Path, tmp_path: Path) -> OpenBundle:
    pytest.importorskip("onnx")
    return open_bundle(slowed(bundle, tmp_path / "other", tmp_path, products=1))


def outcomes(result: CompareResult) -> dict[str, Change]:
    return {d.aspect: d.outcome for d in result.comparison.differences}


def test_a_bundle_beside_itself(opened: OpenBundle) -> None:
    device = PacedDevice()
    result = compare(opened, opened, device, terms=WIDE)
    assert (result.exit_code, result.comparison.outcome) == (0, Outcome.ACCEPTED)
    found = outcomes(result)
    assert found.pop("latency_p50") is Change.NO_WORSE
    assert found.pop("memory_peak") is Change.NO_WORSE
    assert set(found.values()) == {Change.SAME}
    assert set(found) == {"accuracy", "artifact_size", "precision", "operators"}
    assert len(device.evaluated) == 1
    assert device.timed == 2 * len(result.comparison.rounds) == 24
    assert result.comparison.where == "a paced machine"
    assert [s.stage for s in result.stages] == [
        "Answers of the new one",
        "Latency, one beside the other",
    ]


def test_a_slower_one_is_rejected_by_how_much(opened: OpenBundle, other: OpenBundle) -> None:
    device = PacedDevice({other.manifest.artifact: 1.2})
    result = compare(opened, other, device, terms=msgspec.structs.replace(WIDE, margin=0.1))
    assert (result.exit_code, result.comparison.outcome) == (1, Outcome.REJECTED)
    latency = result.comparison.differences[0]
    assert latency.outcome is Change.REGRESSED
    assert latency.change == pytest.approx(0.2, abs=0.03)
    assert latency.lower is not None
    assert latency.lower > 0.1
    accuracy = result.comparison.differences[1]
    assert (accuracy.change, accuracy.outcome) == (0.0, Change.NO_WORSE)
    assert outcomes(result)["operators"] is Change.CHANGED
    assert len(device.evaluated) == 2


def test_faster_only_where_the_interval_says_so(opened: OpenBundle, other: OpenBundle) -> None:
    faster = compare(opened, other, PacedDevice({other.manifest.artifact: 0.7}), terms=WIDE)
    assert outcomes(faster)["latency_p50"] is Change.BETTER
    hardly = PacedDevice({other.manifest.artifact: 0.995})
    assert outcomes(compare(opened, other, hardly, terms=WIDE))["latency_p50"] is Change.NO_WORSE


def test_undecided_fails_unless_only_regressions_do(opened: OpenBundle, other: OpenBundle) -> None:
    strict, lenient = (
        compare(
            opened,
            other,
            PacedDevice({other.manifest.artifact: 1.5}, noise=0.05),
            terms=msgspec.structs.replace(WIDE, margin=0.5),  # a tiny graph grows by much
            fail_on=fail_on,
        )
        for fail_on in FailOn
    )
    assert strict.comparison.outcome is lenient.comparison.outcome is Outcome.UNDECIDED
    assert (strict.exit_code, lenient.exit_code) == (3, 0)
    assert len(strict.comparison.rounds) == 48


def test_wrong_answers_are_a_regression_though_nothing_has_a_label(
    make_bundle: Callable[..., Path], texts: Examples, tmp_path: Path
) -> None:
    """Without labels right is what the reference answers, and the bundle's own model is that."""
    pytest.importorskip("onnx")
    _, data = encode_examples(msgspec.structs.replace(texts, labels=None))
    bundle = make_bundle(**{"gate/examples.jsonl": data.decode()})
    wrong = open_bundle(negated(bundle, tmp_path / "wrong", tmp_path))
    result = compare(open_bundle(bundle), wrong, PacedDevice(), terms=WIDE)
    assert "right is what the reference answers" in result.comparison.differences[1].reason
    accuracy = result.comparison.differences[1]
    assert accuracy.outcome is Change.REGRESSED
    assert accuracy.lower is not None
    assert accuracy.lower > 0.05
    assert result.exit_code == 1


def test_on_another_machine_it_is_refused_unless_a_proxy_will_do(
    make_bundle: Callable[..., Path], target: Target
) -> None:
    board = msgspec.structs.replace(
        target, match=msgspec.structs.replace(target.match, board="Raspberry Pi 4")
    )
    bundle = open_bundle(make_bundle(**{"target.json": encode_pretty(board).decode()}))
    device = PacedDevice()
    with pytest.raises(UsageError, match="compare OLD NEW"):
        compare(bundle, bundle, device, terms=WIDE)
    assert device.evaluated == []
    result = compare(bundle, bundle, device, terms=WIDE, proxy=True)
    assert result.exit_code == 0
    assert "Raspberry Pi 4" in str(result.comparison.mismatch)
    assert result.comparison.differences[0].evidence is Evidence.PROXY


def test_where_neither_can_be_measured_nothing_is_said(opened: OpenBundle) -> None:
    with pytest.raises(DeviceError):
        compare(opened, opened, MadeUpDevice(idle), terms=WIDE)


def test_the_margin_of_accuracy_is_the_budget_of_the_new_one(opened: OpenBundle) -> None:
    result = compare(opened, opened, PacedDevice())
    assert (result.comparison.margins.cost, result.comparison.margins.accuracy) == (0.05, 0.05)


def test_the_benchmark_counts_comparisons_of_a_bundle_with_itself(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(aa, "ThisMachine", PacedDevice)
    found = tmp_path / "found.jsonl"
    words = ["aa", str(bundle), "--times", "2", "--workdir", str(tmp_path), "--json", str(found)]
    monkeypatch.setattr(sys, "argv", words)
    assert aa.main() == 0
    assert '"no worse": 2' in capsys.readouterr().out
    kept = [
        decode_json(line, Comparison, where="found") for line in found.read_bytes().splitlines()
    ]
    assert [len(one.rounds) for one in kept] == [12, 12]


def test_a_classifier_and_a_language_model(opened: OpenBundle, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    other = open_bundle(make_judged_bundle(tmp_path / "language"))
    device = MadeUpDevice(idle, describe_machine())
    with pytest.raises(UsageError, match="the task of the old one is text-classification"):
        compare(opened, other, device)
    with pytest.raises(UsageError, match="the task of the old one is text-generation"):
        compare(other, opened, device)
    with pytest.raises(UsageError, match="--nll-margin is of language models"):
        compare(opened, opened, device, terms=Terms(nll=0.01))
