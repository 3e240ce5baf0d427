"""GPU targets: which runtime builds for them, for which shapes, and what is refused in words."""

import msgspec
import numpy as np
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.engine import RTX_CAPABILITIES, InputRange
from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.core.interface import (
    ArrayInput,
    ArrayInputs,
    ImageInputs,
    Interface,
    Task,
    TextInputs,
)
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.workload import Workload
from deployopt.pipeline import engines as module
from deployopt.pipeline.engines import (
    EnginePlace,
    engine_steps,
    not_built,
    place_of,
    profile_for,
    with_provider,
    with_runtime,
)
from deployopt.planning.targets import load_target, target_names
from deployopt.steps import engine as step
from deployopt.steps.engine import BuildEngine
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric
from tests.fakes.candidates import source

TEXT = Interface(
    task=Task.TEXT_CLASSIFICATION,
    inputs=TextInputs(max_length=512),
    outputs=("logits",),
    labels=("no", "yes"),
)
IDS = ("input_ids", "attention_mask")


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
    assert place is not None
    assert place.compute_capability in RTX_CAPABILITIES
    assert 2**28 < place.workspace_bytes <= 2**33
    assert not_built(load_target(name)) is None


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["h100", "jetson-orin-nano"])
def test_another_card_is_refused_with_what_is_possible(name: str) -> None:
    with pytest.raises(UsageError, match=r"SM(90|87).*it knows SM75, SM80.*What is possible"):
        with_runtime(request(name))
    assert not_built(load_target(name)) is not None
    # Of one that cannot be built for there is a plan all the same.
    assert with_provider(request(name)).target == load_target(name)


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
    assert "pip install 'deployopt[tensorrt-rtx]'" in (not_built(load_target("a100")) or "")
    assert not_built(load_target("x86-cpu")) is None
    assert with_provider(request("a100")).target.runtime.provider == "tensorrt-rtx"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("target", "runtime", "words"),
    [
        ("a100", "openvino", "builds for CPUs only"),
        ("a100", "onnxruntime", "builds for CPUs only"),
        ("a100", "tensorrt", "only on the card itself"),
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


PLACE = EnginePlace(compute_capability="8.6", platform="x86_64", workspace_bytes=2**30)


def test_three_forms_each_ending_in_an_engine() -> None:
    found = engine_steps(PLACE, source().artifact, convolutional=False)
    assert [name for name, _, _ in found] == ["float", "fp16", "int8"]
    assert {steps[-1] for _, steps, _ in found} == {PLACE.step}
    kinds = [[type(one) for one in steps[:-1]] for _, steps, _ in found]
    assert kinds == [[], [ConvertHalf], [QuantizeSymmetric, ConvertHalf]]
    assert isinstance(PLACE.step, BuildEngine)
    assert PLACE.step.tf32 is False


def test_what_is_int8_already_is_built_as_it_is() -> None:
    given = msgspec.structs.replace(source().artifact, precision=Precision.INT8)
    assert [name for name, _, _ in engine_steps(PLACE, given, convolutional=True)] == ["float"]


def test_texts_of_real_lengths() -> None:
    shapes = dict.fromkeys(IDS, (1, 46))
    assert profile_for(TEXT, Workload(batch=8), shapes, []) == tuple(
        InputRange(name=name, least=(1, 1), usual=(8, 46), most=(8, 512)) for name in IDS
    )


def test_texts_of_a_fixed_length() -> None:
    (ids, _) = profile_for(TEXT, Workload(length=128), {"input_ids": (1, 128)}, [])
    assert ids == InputRange(name="input_ids", least=(1, 128), usual=(1, 128), most=(1, 128))


def test_images_have_one_size() -> None:
    inputs = ImageInputs(input_name="x", height=64, width=48)
    interface = Interface(task=Task.IMAGE_CLASSIFICATION, inputs=inputs, outputs=("y",))
    (one,) = profile_for(interface, Workload(batch=4), None, [])
    assert (one.least, one.usual, one.most) == ((1, 3, 64, 48), (4, 3, 64, 48), (4, 3, 64, 48))


def test_arrays_are_as_large_as_those_that_were_seen() -> None:
    given = ArrayInput(name="x", dtype="float32", shape=("batch", "time", 8))
    interface = Interface(task=Task.ANY, inputs=ArrayInputs(inputs=(given,)), outputs=("y",))
    feeds = [{"x": np.zeros((1, n, 8), dtype=np.float32)} for n in (5, 30, 9)]
    (one,) = profile_for(interface, Workload(batch=2), {"x": (1, 9, 8)}, feeds)
    assert (one.least, one.usual, one.most) == ((1, 5, 8), (2, 9, 8), (2, 30, 8))
