"""Which runtime builds for a target, what it makes for a card, and what is refused in words."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Format
from deployopt.core.engine import RTX_CAPABILITIES, InputRange
from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.measurement import Machine
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.target import Target
from deployopt.device.machine import describe_machine
from deployopt.pipeline import runtimes as module
from deployopt.pipeline.card_graphs import GraphPlace
from deployopt.pipeline.engines import EnginePlace
from deployopt.pipeline.runtimes import (
    CARD_STEPS,
    built_apart,
    card_steps,
    not_built,
    place_of,
    with_provider,
    with_runtime,
)
from deployopt.planning.targets import load_target, target_names
from deployopt.steps import engine as step
from tests.fakes.candidates import source

PROFILE = (InputRange(name="x", least=(1, 4), usual=(1, 4), most=(8, 4)),)


def request(target: str, **given: object) -> BuildRequest:
    return msgspec.structs.replace(BuildRequest(model="m", target=load_target(target)), **given)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (module, step):
        monkeypatch.setattr(place, "builder_installed", lambda: True)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["t4", "l4", "rtx3060", "rtx4090", "a100", "a100x4"])
def test_a_card_that_the_builder_knows_is_given_to_it(name: str) -> None:
    seen = with_runtime(request(name)).target
    assert seen.runtime.provider == "tensorrt-rtx"
    place = place_of(seen)
    assert isinstance(place, EnginePlace)
    assert place.compute_capability in RTX_CAPABILITIES
    assert not_built(seen) is None


@pytest.mark.parametrize("name", ["h100", "jetson-orin-nano"])
def test_another_card_gets_a_graph_which_needs_no_builder(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (module, step):
        monkeypatch.setattr(place, "builder_installed", lambda: False)
    seen = with_runtime(request(name)).target
    assert seen == load_target(name)
    assert place_of(seen, PROFILE) == GraphPlace(
        provider="cuda", compute_capability=seen.compute_capability, profile=PROFILE
    )
    assert not_built(seen) is None


@pytest.mark.parametrize("name", ["h100", "jetson-orin-nano"])
def test_an_engine_for_another_card_is_refused_with_what_is_possible(name: str) -> None:
    words = r"SM(90|87).*it knows SM75, SM80.*Leave --runtime out.*ONNX Runtime on CUDA"
    with pytest.raises(UsageError, match=words):
        with_provider(request(name, runtime="tensorrt-rtx"))


@pytest.mark.parametrize(
    ("runtime", "provider"),
    [
        ("onnxruntime", "cuda"),
        ("onnxruntime-tensorrt", "tensorrt"),
        ("tensorrt", "tensorrt-plan"),
    ],
)
@pytest.mark.parametrize("name", ["a100", "rtx3060", "h100", "jetson-orin-nano"])
def test_a_graph_can_be_asked_of_every_card(name: str, runtime: str, provider: str) -> None:
    seen = with_runtime(request(name, runtime=runtime)).target
    assert seen.runtime.provider == provider
    assert place_of(seen) == GraphPlace(
        provider=provider, compute_capability=seen.compute_capability
    )
    assert not_built(seen) is None


@pytest.mark.parametrize("provider", ["tensorrt", "tensorrt-plan"])
def test_a_target_file_that_says_tensorrt_is_believed(provider: str) -> None:
    card = load_target("rtx3060")
    runtime = msgspec.structs.replace(card.runtime, provider=provider)
    own = msgspec.structs.replace(card, runtime=runtime)
    seen = with_runtime(BuildRequest(model="m", target=own)).target
    assert seen.runtime.provider == provider


def test_forms_are_those_of_the_place() -> None:
    artifact = source().artifact
    graph = card_steps(
        GraphPlace(provider="cuda", compute_capability="8.9"), artifact, convolutional=False
    )
    engine = card_steps(
        EnginePlace(compute_capability="8.9", platform="x86_64", workspace_bytes=1),
        artifact,
        convolutional=False,
    )
    assert [steps[-1].name for _, steps, _ in graph] == ["open-on-card"] * 2
    assert [steps[-1].name for _, steps, _ in engine] == ["build-engine"] * 4
    draws = msgspec.structs.replace(artifact, format=Format.DIFFUSERS)
    place = GraphPlace(provider="cuda", compute_capability="8.9")
    drawn = card_steps(place, draws, convolutional=True)
    assert [steps[-1].name for _, steps, _ in drawn] == ["open-pipeline-on-card"] * 2
    behind = {one.name for _, steps, _ in (*graph, *engine, *drawn) for one in steps}
    assert CARD_STEPS - behind == {"convert-bfloat16", "allow-tf32"}


def machine_with(target: Target, *providers: str) -> Machine:
    """The target itself, as far as it shows."""
    found = describe_machine(runtime=False)
    return msgspec.structs.replace(
        found, arch=target.match.arch, gpus=(target.match.gpu or "",), providers=providers
    )


def test_what_is_for_a_card_runs_where_the_card_and_its_provider_are() -> None:
    h100 = load_target("h100")
    cuda = "CUDAExecutionProvider"
    assert not built_apart(h100, machine_with(h100, cuda, "CPUExecutionProvider"))
    assert built_apart(h100, machine_with(h100, "CPUExecutionProvider"))
    assert built_apart(h100, machine_with(load_target("a100"), cuda))
    assert not built_apart(load_target("x86-cpu"), machine_with(h100))
    engine = with_provider(request("a100")).target
    assert built_apart(engine, machine_with(engine, cuda))


def test_a_plan_is_built_where_the_card_and_tensorrt_are() -> None:
    h100 = with_provider(request("h100", runtime="tensorrt")).target
    machine = machine_with(h100, "CUDAExecutionProvider", "TensorrtExecutionProvider")
    assert built_apart(h100, machine)
    for package in ("tensorrt", "tensorrt-cu12"):
        there = msgspec.structs.replace(machine, packages={package: "10.14.1"})
        assert not built_apart(h100, there)
        assert built_apart(h100, msgspec.structs.replace(there, gpus=("NVIDIA Other",)))


def test_every_gpu_target_says_its_compute_capability() -> None:
    found = [load_target(name) for name in target_names()]
    cards = [t for t in found if t.runtime.provider != "cpu"]
    assert {t.name for t in cards if place_of(t) is None} == set()
    assert len(cards) >= 8


def test_a_builder_that_is_missing_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for place in (module, step):
        monkeypatch.setattr(place, "builder_installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"pip install 'deployopt\[tensorrt-rtx\]'"):
        with_runtime(request("a100"))
    seen = with_provider(request("a100")).target
    assert seen.runtime.provider == "tensorrt-rtx"
    assert "pip install 'deployopt[tensorrt-rtx]'" in (not_built(seen) or "")
    assert "--runtime onnxruntime" in (not_built(seen) or "")
    assert not_built(load_target("x86-cpu")) is None


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("target", "runtime", "words"),
    [
        ("a100", "openvino", "builds for CPUs only"),
        ("a100", "openvino", "give one of .*onnxruntime-tensorrt"),
        ("a100", "onnxruntime-genai", "opens language models"),
        ("x86-cpu", "onnxruntime-genai", "opens language models"),
        ("x86-cpu", "onnxruntime-tensorrt", "runs on a CPU"),
        ("x86-cpu", "tensorrt", "builds for NVIDIA cards, and target x86-cpu runs on a CPU"),
        ("a100", "tensort-rtx", "Did you mean tensorrt-rtx"),
        ("x86-cpu", "tensorrt-rtx", "runs on a CPU"),
        ("rpi4", "openvino", "not one that target rpi4 allows"),
    ],
)
def test_a_runtime_that_is_not_the_targets_is_refused(
    target: str, runtime: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        with_runtime(request(target, runtime=runtime))


def test_a_cpu_target_can_be_kept_to_one_runtime() -> None:
    both = load_target("x86-cpu")
    assert "openvino" in both.runtime.runtimes
    one = with_runtime(request("x86-cpu", runtime="onnxruntime")).target
    assert one.runtime.runtimes == ("onnxruntime",)
    assert with_runtime(request("x86-cpu", runtime="openvino")).target == both
    assert with_runtime(request("x86-cpu")).target == both


@pytest.mark.usefixtures("installed")
def test_what_has_to_be_timed_is_refused_by_name() -> None:
    asked = request("a100", effort=Effort.DEFAULT, time_limit_s=60.0)
    with pytest.raises(UsageError, match="--time-limit and --effort cannot be asked of a GPU"):
        with_runtime(asked)
    with_runtime(request("a100", effort=Effort.QUICK))


@pytest.mark.usefixtures("installed")
def test_a_baseline_is_for_a_build_that_runs_what_it_makes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = request("h100", baseline=Path("old"))
    with pytest.raises(UsageError, match=r"not run by this build.*compare OLD NEW"):
        with_runtime(asked)
    there = msgspec.structs.replace(
        describe_machine(runtime=False),
        arch="x86_64",
        gpus=("NVIDIA H100 80GB HBM3",),
        providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
    )
    monkeypatch.setattr(module, "describe_machine", lambda: there)
    assert with_runtime(asked).baseline == Path("old")
    # An engine is measured by `verify` alone, wherever it is built.
    with pytest.raises(UsageError, match="not run by this build"):
        with_runtime(request("a100", baseline=Path("old")))
