"""OpenVINO's steps refuse early what they could only fail on later."""

from collections.abc import Callable
from importlib.machinery import ModuleSpec

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.recipe import Step, StepContext
from deployopt.steps import openvino as module
from deployopt.steps.openvino import ConvertOpenvino, QuantizeOpenvino

NewContext = Callable[[], StepContext]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: ModuleSpec(name, None))


@pytest.mark.openvino
def test_both_forms_are_made_and_say_what_was_found(
    float_graph: Artifact, context: NewContext
) -> None:
    plain = ConvertOpenvino().run(float_graph, context())
    assert (plain.format, plain.entry, plain.precision) == (
        Format.OPENVINO, "model.xml", Precision.FP32,
    )  # fmt: skip
    assert plain.notes[0] == "As it came."
    assert "differ from ONNX Runtime's answers by" in plain.notes[-1]
    small = QuantizeOpenvino(reduce_range=True).run(float_graph, context())
    assert small.precision is Precision.INT8
    assert "4 nodes were quantized, calibrated on 4 samples." in small.notes
    weights = [a.path.with_suffix(".bin").stat().st_size for a in (small, plain)]
    assert weights[0] < weights[1] / 2


@pytest.mark.parametrize("step", [ConvertOpenvino(), QuantizeOpenvino()])
def test_without_the_packages_the_extra_is_named(
    step: Step, float_graph: Artifact, context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"deployopt\[openvino\]"):
        step.requires(float_graph, context())


@pytest.mark.usefixtures("installed")
def test_what_cannot_work_is_refused(float_graph: Artifact, context: NewContext) -> None:
    given = context()
    none = msgspec.structs.replace(given, samples=None)
    int8 = msgspec.structs.replace(float_graph, precision=Precision.INT8)
    folder = msgspec.structs.replace(float_graph, format=Format.TRANSFORMERS)
    ConvertOpenvino().requires(float_graph, none)
    QuantizeOpenvino().requires(float_graph, given)
    for step, source, where, said in (
        (QuantizeOpenvino(), float_graph, none, "Add --data"),
        (QuantizeOpenvino(), int8, given, "quantized already"),
        (QuantizeOpenvino(samples=0), float_graph, given, "at least one sample"),
        (ConvertOpenvino(), folder, given, "takes a model in onnx form"),
    ):
        with pytest.raises(StepError, match=said):
            step.requires(source, where)
