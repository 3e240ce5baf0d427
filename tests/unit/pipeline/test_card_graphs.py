"""Graphs for a card: their forms by provider, and what is said of them."""

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.engine import InputRange
from deployopt.pipeline.card_graphs import GraphPlace, graph_note, graph_steps, graph_summary
from deployopt.planning.targets import load_target
from deployopt.steps.float8 import QuantizeFloat8
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric
from tests.fakes.candidates import source

PROFILE = (InputRange(name="x", least=(1, 4), usual=(1, 4), most=(8, 4)),)
GRAPH: Artifact = msgspec.structs.replace(
    source(form=Format.ONNX).artifact, precision=Precision.FP16
)


def place_on(provider: str, profile: tuple[InputRange, ...] = ()) -> GraphPlace:
    return GraphPlace(provider=provider, compute_capability="8.6", profile=profile)


def forms(provider: str, capability: str = "8.6") -> dict[str, list[type]]:
    place = GraphPlace(provider=provider, compute_capability=capability, profile=PROFILE)
    found = graph_steps(place, source().artifact, convolutional=False)
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


def test_float8_is_for_tensorrt_itself_on_cards_that_have_it() -> None:
    assert forms("tensorrt-plan", "9.0")["fp8"] == [QuantizeFloat8, ConvertHalf]
    for provider in ("cuda", "tensorrt"):
        assert "fp8" not in forms(provider, "9.0")


@pytest.mark.parametrize(
    ("convolutional", "calibration"), [(True, "percentile"), (False, "minmax")]
)
def test_outliers_are_cut_off_in_convolution_nets_only(
    calibration: str, *, convolutional: bool
) -> None:
    place = GraphPlace(provider="tensorrt", compute_capability="8.6")
    found = graph_steps(place, source().artifact, convolutional=convolutional)
    (pairs,) = (one for _, steps, _ in found for one in steps if isinstance(one, QuantizeSymmetric))
    assert pairs.calibration == calibration


def test_what_is_int8_already_is_opened_as_it_is() -> None:
    given = msgspec.structs.replace(source().artifact, precision=Precision.INT8)
    found = graph_steps(
        GraphPlace(provider="tensorrt", compute_capability="8.6"), given, convolutional=True
    )
    assert [name for name, _, _ in found] == ["float"]


def test_a_graph_in_half_precision_is_opened_as_it_is_and_not_called_fp32() -> None:
    found = graph_steps(
        GraphPlace(provider="cuda", compute_capability="9.0"), GRAPH, convolutional=True
    )
    assert [(name, reason) for name, _, reason in found] == [
        ("float", "the graph in its own precisions for ONNX Runtime on CUDA")
    ]


def test_shapes_are_for_tensorrt_alone() -> None:
    asked = {"cuda": (), "tensorrt": PROFILE, "tensorrt-plan": PROFILE}
    for provider, profile in asked.items():
        assert place_on(provider, PROFILE).step.profile == profile


def test_where_requests_have_one_shape_they_are_captured() -> None:
    fixed = (InputRange(name="x", least=(1, 4), usual=(8, 4), most=(8, 4)),)
    for provider in ("cuda", "tensorrt"):
        assert place_on(provider, fixed).step.capture
        assert not place_on(provider, PROFILE).step.capture
    # A plan captures by itself.
    assert not place_on("tensorrt-plan", fixed).step.capture


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
