"""Graphs for a card: their forms by provider, and what is said of them."""

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.engine import InputRange
from deployopt.pipeline.card_graphs import GraphPlace, graph_note, graph_steps, graph_summary
from deployopt.planning.targets import load_target
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric
from tests.fakes.candidates import source

PROFILE = (InputRange(name="x", least=(1, 4), usual=(1, 4), most=(8, 4)),)
GRAPH: Artifact = msgspec.structs.replace(
    source(form=Format.ONNX).artifact, precision=Precision.FP16
)


def forms(provider: str, *, convolutional: bool = False) -> dict[str, list[type]]:
    place = GraphPlace(provider=provider, profile=PROFILE)
    found = graph_steps(place, source().artifact, convolutional=convolutional)
    assert {steps[-1] for _, steps, _ in found} == {place.step}
    return {name: [type(one) for one in steps[:-1]] for name, steps, _ in found}


def test_cuda_has_no_int8_as_its_kernels_have_none_of_pairs() -> None:
    assert forms("cuda") == {"float": [], "fp16": [ConvertHalf]}
    for provider in ("tensorrt", "tensorrt-plan"):
        assert forms(provider) == {
            "float": [],
            "fp16": [ConvertHalf],
            "int8": [QuantizeSymmetric, ConvertHalf],
        }


@pytest.mark.parametrize(
    ("convolutional", "calibration"), [(True, "percentile"), (False, "minmax")]
)
def test_outliers_are_cut_off_in_convolution_nets_only(
    calibration: str, *, convolutional: bool
) -> None:
    place = GraphPlace(provider="tensorrt")
    found = graph_steps(place, source().artifact, convolutional=convolutional)
    (pairs,) = (one for _, steps, _ in found for one in steps if isinstance(one, QuantizeSymmetric))
    assert pairs.calibration == calibration


def test_what_is_int8_already_is_opened_as_it_is() -> None:
    given = msgspec.structs.replace(source().artifact, precision=Precision.INT8)
    found = graph_steps(GraphPlace(provider="tensorrt"), given, convolutional=True)
    assert [name for name, _, _ in found] == ["float"]


def test_shapes_are_for_tensorrt_alone() -> None:
    assert GraphPlace(provider="cuda", profile=PROFILE).step.profile == ()
    for provider in ("tensorrt", "tensorrt-plan"):
        assert GraphPlace(provider=provider, profile=PROFILE).step.profile == PROFILE


def test_where_requests_have_one_shape_they_are_captured() -> None:
    fixed = (InputRange(name="x", least=(1, 4), usual=(8, 4), most=(8, 4)),)
    for provider in ("cuda", "tensorrt"):
        assert GraphPlace(provider=provider, profile=fixed).step.capture
        assert not GraphPlace(provider=provider, profile=PROFILE).step.capture
    # A plan captures by itself.
    assert not GraphPlace(provider="tensorrt-plan", profile=fixed).step.capture


def test_a_manifest_says_where_it_has_not_run() -> None:
    h100 = load_target("h100")
    note = graph_note(h100, GRAPH, ran=False)
    assert note is not None
    assert (note.provider, note.compute_capability, note.ran) == ("cuda", "9.0", False)
    assert note.runtime == "onnxruntime-gpu"
    assert note.version
    runtime = msgspec.structs.replace(h100.runtime, provider="tensorrt-plan")
    plan = graph_note(msgspec.structs.replace(h100, runtime=runtime), GRAPH, ran=False)
    assert plan is not None
    assert (plan.provider, plan.runtime) == ("tensorrt-plan", "tensorrt")
    assert graph_note(load_target("x86-cpu"), GRAPH, ran=True) is None
    engine = msgspec.structs.replace(GRAPH, format=Format.ENGINE)
    assert graph_note(h100, engine, ran=False) is None


def test_a_report_has_the_notes_of_its_steps() -> None:
    found = graph_summary(load_target("h100"), ("2 of 9 nodes stay float32.",))
    assert (found.compute_capability, found.ran) == ("9.0", False)
    assert found.notes == ("2 of 9 nodes stay float32.",)
    assert found.answer_tokens is None
