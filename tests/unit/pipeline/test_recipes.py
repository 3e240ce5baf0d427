"""Which recipes are tried: by the opset and arithmetic of the target, and by the kind of net."""

import re

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.measurement import Machine
from deployopt.core.recipe import Recipe
from deployopt.core.request import BuildRequest
from deployopt.core.target import Target
from deployopt.pipeline import recipes as module
from deployopt.pipeline.recipes import (
    Arithmetic,
    Form,
    arithmetic_for,
    forms_for,
    missing_runtimes,
    recipes_for,
)
from deployopt.pipeline.runtimes import place_of, with_provider
from deployopt.planning.targets import load_target
from deployopt.steps.export import Export
from deployopt.steps.openvino import ConvertOpenvino, QuantizeOpenvino
from deployopt.steps.optimize import Optimize
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic
from tests.fakes.candidates import source
from tests.fakes.results import MACHINE, PI

EIGHT = Arithmetic(reduce_range=False, reason="8-bit weights")
SEVEN = Arithmetic(reduce_range=True, reason="7-bit weights")
AVX2 = msgspec.structs.replace(MACHINE, isa=("avx2", "fma"))


def with_isa(target: Target, *isa: str) -> Target:
    return msgspec.structs.replace(
        target, hardware=msgspec.structs.replace(target.hardware, isa=isa)
    )


@pytest.mark.parametrize(
    ("target", "machine", "reduced"),
    [
        (load_target("rpi4"), PI, False),
        (load_target("rpi4"), MACHINE, False),
        (load_target("rpi4"), AVX2, True),
        (load_target("x86-cpu"), MACHINE, True),
        (with_isa(load_target("x86-cpu"), "avx2", "avx512f"), MACHINE, True),
        (with_isa(load_target("x86-cpu"), "avx2", "avx_vnni"), MACHINE, False),
        (with_isa(load_target("x86-cpu"), "avx2", "avx_vnni"), AVX2, True),
    ],
)
def test_seven_bits_where_eight_would_saturate(
    target: Target,
    machine: Machine,
    reduced: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    found = arithmetic_for(target, machine)
    assert found.reduce_range is reduced
    assert found.reason.startswith("7-bit" if reduced else "8-bit")


def recipes(
    artifact: Artifact, target: Target, arithmetic: Arithmetic, *, convolutional: bool
) -> tuple[Recipe, ...]:
    forms = forms_for(artifact, target, arithmetic, convolutional=convolutional)
    return recipes_for(artifact, target, forms)


def test_the_reason_says_whose_arithmetic_it_is() -> None:
    assert "on the target" in arithmetic_for(load_target("x86-cpu"), MACHINE).reason
    assert "here" in arithmetic_for(load_target("rpi4"), AVX2).reason


@pytest.mark.parametrize("arithmetic", [EIGHT, SEVEN])
def test_transformers_are_quantized_dynamically(arithmetic: Arithmetic) -> None:
    plain, int8 = recipes(source().artifact, load_target("rpi4"), arithmetic, convolutional=False)
    assert (plain.name, int8.name) == ("float", "int8")
    assert plain.steps == (Export(opset=17), Optimize())
    reduced = arithmetic.reduce_range
    assert int8.steps == (*plain.steps, QuantizeDynamic(per_channel=True, reduce_range=reduced))
    assert arithmetic.reason in int8.reason


@pytest.mark.parametrize("arithmetic", [EIGHT, SEVEN])
def test_convolution_nets_are_quantized_with_calibration(arithmetic: Arithmetic) -> None:
    _, int8 = recipes(source().artifact, load_target("rpi4"), arithmetic, convolutional=True)
    assert int8.steps[-1] == QuantizeStatic(reduce_range=arithmetic.reduce_range)


def test_a_graph_is_not_exported() -> None:
    plain, _ = recipes(
        source(form=Format.ONNX).artifact, load_target("rpi4"), EIGHT, convolutional=False
    )
    assert plain.steps == (Optimize(),)


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.MIXED])
def test_what_is_int8_already_is_left_so(precision: Precision) -> None:
    found = recipes(
        source(form=Format.ONNX, precision=precision).artifact,
        load_target("rpi4"),
        EIGHT,
        convolutional=False,
    )
    assert [recipe.name for recipe in found] == ["float"]


def test_no_newer_opset_than_the_runtime_reads() -> None:
    target = load_target("rpi4")
    old = msgspec.structs.replace(
        target, runtime=msgspec.structs.replace(target.runtime, opset_max=13)
    )
    plain, _ = recipes(source().artifact, old, EIGHT, convolutional=False)
    assert plain.steps[0] == Export(opset=13)


@pytest.mark.parametrize(
    ("runtime", "names", "last"),
    [
        ("tensorrt-rtx", ["float", "fp16", "int8"], "build-engine"),
        ("onnxruntime", ["float", "fp16"], "open-on-card"),
        ("onnxruntime-tensorrt", ["float", "fp16", "int8"], "open-on-card"),
    ],
)
def test_a_gpu_target_gets_what_its_runtime_opens_and_nothing_else(
    runtime: str, names: list[str], last: str
) -> None:
    asked = BuildRequest(model="m", target=load_target("rtx3060"), runtime=runtime)
    target = with_provider(asked).target
    found = forms_for(source().artifact, target, EIGHT, convolutional=False, place=place_of(target))
    assert [form.name for form in found] == names
    plain, *_ = recipes_for(source().artifact, target, found)
    assert [step.name for step in plain.steps] == ["export", "optimize", last]


def forms(
    patch: pytest.MonkeyPatch, *packages: str, target: str = "x86-cpu", convolutional: bool = False
) -> tuple[Form, ...]:
    """Those of a plain model where only these packages are installed."""
    patch.setattr(module, "find_spec", lambda name: name if name in packages else None)
    return forms_for(source().artifact, load_target(target), SEVEN, convolutional=convolutional)


def test_a_second_runtime_is_tried_where_the_target_allows_it_and_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = forms(monkeypatch, "openvino", "nncf")
    assert [form.name for form in both] == ["float", "int8", "openvino", "openvino-int8"]
    assert both[2].steps == (ConvertOpenvino(),)
    assert both[3].steps == (QuantizeOpenvino(transformer=True, reduce_range=True),)
    assert missing_runtimes(load_target("x86-cpu")) == ()
    nets = forms(monkeypatch, "openvino", "nncf", convolutional=True)
    assert nets[3].steps == (QuantizeOpenvino(transformer=False, reduce_range=True),)
    assert len(forms(monkeypatch, "openvino", "nncf", target="rpi4")) == 2


@pytest.mark.parametrize(
    ("there", "left", "said"),
    [
        ((), ["float", "int8"], "openvino and nncf cannot be imported here, so OpenVINO's forms"),
        (("openvino",), ["float", "int8", "openvino"], "nncf cannot .* OpenVINO's int8 form was"),
    ],
)
def test_what_is_not_installed_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], left: list[str], said: str
) -> None:
    assert [form.name for form in forms(monkeypatch, *there)] == left
    (sentence,) = missing_runtimes(load_target("x86-cpu"))
    assert re.search(said, sentence)
    assert "pip install 'deployopt[openvino]'" in sentence
    assert missing_runtimes(load_target("rpi4")) == ()
