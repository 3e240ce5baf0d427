"""The card's benchmark says what it needs, knows the card's target, and judges its ratios."""

import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import gpu, gpu_parts
from benchmarks.racing import Ratio, Times, ratio
from deployopt.device.gpu import GpuFound
from deployopt.planning.targets import load_target
from tests.fakes import candidates as sources
from tests.fakes import encoders

A2000 = GpuFound(name="NVIDIA RTX A2000", memory_bytes=6 * 2**30, compute_capability="8.6")
V100 = GpuFound(name="Tesla V100", memory_bytes=16 * 2**30, compute_capability="7.0")


def test_a_machine_without_a_card_is_told_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu, "driver_missing", lambda: "there is no NVIDIA driver")
    monkeypatch.setattr(gpu, "find_spec", lambda _name: None)
    monkeypatch.setattr(gpu, "find_gpus", lambda: ())
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--results", str(tmp_path / "results")])
    assert gpu.main() == 0
    said = capsys.readouterr().out
    assert said.startswith("skipped:")
    needs = (
        "there is no NVIDIA driver",
        "nvidia-ml-py",
        "tensorrt-rtx",
        "onnxruntime-gpu",
        "tensorrt-cu13",
        "torch",
    )
    for lacking in needs:
        assert lacking in said
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("card", "count"), [(A2000, 0), (V100, 1)])
def test_a_card_that_no_engine_is_built_for_is_said(
    monkeypatch: pytest.MonkeyPatch, card: GpuFound, count: int
) -> None:
    monkeypatch.setattr(gpu, "driver_missing", lambda: None)
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if name == "tensorrt" else True)
    monkeypatch.setattr(gpu, "_torch_sees_a_card", lambda: True)
    monkeypatch.setattr(gpu, "providers", lambda: ["CPUExecutionProvider"])
    assert len(gpu.missing([card])) == count
    monkeypatch.setattr(gpu, "providers", lambda: ["CUDAExecutionProvider"])
    assert gpu.missing([card]) == []


def test_what_can_be_opened_is_built_an_engine_first(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(gpu, "find_spec", lambda _name: True)
    monkeypatch.setattr(gpu, "providers", lambda: both)
    assert gpu.routes(A2000) == ["tensorrt-rtx", "onnxruntime", "onnxruntime-tensorrt", "tensorrt"]
    assert gpu.routes(V100) == ["onnxruntime", "onnxruntime-tensorrt", "tensorrt"]
    assert set(gpu.routes(A2000)) == set(gpu.NAMES)
    monkeypatch.setattr(gpu, "providers", list)
    assert gpu.routes(V100) == ["tensorrt"]
    monkeypatch.setattr(gpu, "find_spec", lambda name: name != "tensorrt" or None)
    assert gpu.routes(V100) == []


def test_the_target_has_the_cards_capability() -> None:
    assert gpu.target_of(A2000) == "rtx3060"
    with pytest.raises(SystemExit, match="Tesla V100"):
        gpu.target_of(V100)


@pytest.mark.parametrize(
    ("half", "again", "said"),
    [
        ((2.4, 2.5, 2.6), (0.995, 1.0, 1.005), ["aim 2 reached", "within 1% reached"]),
        ((1.4, 2.5, 4.0), (0.95, 1.0, 1.05), ["aim 2 missed", "within 1% missed"]),
    ],
)
def test_an_aim_is_judged_by_its_bound(
    capsys: pytest.CaptureFixture[str],
    half: tuple[float, float, float],
    again: tuple[float, float, float],
    said: list[str],
) -> None:
    ratios = {
        name: Ratio(low=low, estimate=middle, high=high)
        for name, (low, middle, high) in ((gpu.HALF, half), (gpu.AGAIN, again))
    }
    gpu.report(
        gpu.Outcome(
            card=A2000,
            environment={},
            base=gpu.ON_CUDA,
            bundles={gpu.ON_CUDA: gpu.Verified(artifact="d", exit_code=0, result=None)},
            rounds={},
            ratios=ratios,
        )
    )
    printed = capsys.readouterr().out
    assert all(words in printed for words in said)
    assert "graph on CUDA: verified with exit 0" in printed
    assert "x the time of the graph on CUDA" in printed


def test_ratios_are_times_over_the_engines() -> None:
    rounds = {
        gpu.ENGINE: [Times(wall_ms=1.0, cpu_ms=1.0)] * 3,
        gpu.EAGER: [Times(wall_ms=4.0, cpu_ms=1.0)] * 3,
    }
    assert ratio(rounds, gpu.EAGER, gpu.ENGINE).estimate == pytest.approx(4.0)


def test_requests_of_one_shape_are_a_target_of_their_own(tmp_path: Path) -> None:
    usual, fixed = load_target("h100"), load_target(str(gpu_parts.fixed_target("h100", tmp_path)))
    assert (usual.workload.length, fixed.workload.length) == ("real", gpu_parts.LENGTH)
    assert msgspec.structs.replace(fixed, workload=usual.workload) == usual


def test_a_target_has_the_name_of_the_card_that_is_there(tmp_path: Path) -> None:
    usual = load_target("h100")
    assert usual.match.gpu is not None
    assert gpu_parts.named_target("h100", usual.match.gpu, tmp_path) == "h100"
    other = load_target(gpu_parts.named_target("h100", "NVIDIA H200", tmp_path))
    assert other.match.gpu == "NVIDIA H200"
    assert other.hardware.memory == usual.hardware.memory


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"latency": {"card": {"captured_share": 1.0, "uncaptured": ""}}}, (1.0, "")),
        ({"latency": {"card": {"captured_share": 0.0, "uncaptured": "If"}}}, (0.0, "If")),
        ({"latency": None}, (None, "")),
        (None, (None, "")),
    ],
)
def test_how_requests_were_launched_is_what_verify_said(result: object, told: object) -> None:
    assert gpu_parts.how_launched(result) == told


def test_what_is_asked_beside_the_race_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    seen = gpu.Verified(artifact="d", exit_code=0, result=None)
    gpu.report(
        gpu.Outcome(
            card=A2000,
            environment={},
            bundles={},
            rounds={},
            ratios={},
            tests=gpu_parts.GpuTests(exit_code=1, said=("1 failed",)),
            launches={
                gpu.ON_CUDA: gpu.Launch(
                    verified=seen,
                    captured_share=0.0,
                    uncaptured="it has control flow",
                    rounds={},
                    ratio=Ratio(estimate=1.0, low=0.9, high=1.1),
                )
            },
            reference=gpu_parts.ReferenceRun(
                requests=9,
                on_card=False,
                note="The card is too small.",
                card_s=2.0,
                cpu_s=2.0,
                same_twice=True,
                apart=0.0,
            ),
        )
    )
    printed = capsys.readouterr().out
    assert "tests that need a GPU: exit 1" in printed
    assert "0% of requests launched as one CUDA graph (it has control flow)" in printed
    assert "on the CPU alone: The card is too small." in printed


@pytest.mark.torch
def test_the_reference_is_asked_on_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The `cpu` of torch is in the card's place."""
    import torch

    from deployopt.modeling import reference_card

    card = reference_card.Card(torch.device("cpu"))
    for name, value in (("free_bytes", 2**40), ("peak_bytes", 1)):
        monkeypatch.setattr(card, name, lambda value=value: value)
    monkeypatch.setattr(card, "begin", lambda: None)
    monkeypatch.setattr(card, "release", lambda: None)
    monkeypatch.setattr(reference_card, "first_card", lambda: card)
    source = sources.source()
    there = msgspec.structs.replace(
        source,
        interface=encoders.interface("bert"),
        artifact=msgspec.structs.replace(
            source.artifact, folder=encoders.saved(tmp_path, encoders.encoder("bert"))
        ),
    )
    found = gpu_parts.reference_run(there, encoders.feeds("bert", 9), threads=1)
    assert (found.requests, found.on_card, found.same_twice) == (9, True, True)
    assert found.apart < 1e-5
    assert reference_card.first_card() is card
