"""A graph is opened on a card with the options of its provider there, and stays as it is."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision, SessionOptions
from deployopt.core.card_options import captures
from deployopt.core.engine import InputRange
from deployopt.core.errors import StepError
from deployopt.core.interface import ArrayInputs, Interface, Task
from deployopt.core.recipe import StepContext
from deployopt.steps.for_card import OpenOnCard, OpenPipelineOnCard
from deployopt.steps.session import CPU_SESSION, REQUANTIZING

PROFILE = (InputRange(name="x", least=(1, 4), usual=(1, 4), most=(8, 4)),)


@pytest.fixture
def graph(tmp_path: Path) -> Artifact:
    folder = tmp_path / "graph"
    folder.mkdir()
    for name in ("model.onnx", "model.onnx.data"):
        (folder / name).write_bytes(name.encode())
    return Artifact(
        format=Format.ONNX,
        folder=folder,
        entry="model.onnx",
        digest="0" * 64,
        precision=Precision.FP16,
        session=CPU_SESSION,
        notes=("said before",),
    )


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    work = tmp_path / "work"
    work.mkdir()
    interface = Interface(task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=("y",))
    return StepContext(workdir=work, interface=interface)


def test_every_byte_is_carried_over_and_what_was_measured_of_cpus_is_not(
    graph: Artifact, context: StepContext
) -> None:
    step = OpenOnCard(provider="cuda")
    step.requires(graph, context)
    made = step.run(graph, context)
    assert made.session == SessionOptions()
    assert (made.precision, made.notes) == (Precision.FP16, ("said before",))
    for path in graph.folder.iterdir():
        assert (made.folder / path.name).read_bytes() == path.read_bytes()


def test_tensorrt_is_given_pairs_as_they_stand_and_its_shapes(
    graph: Artifact, context: StepContext
) -> None:
    made = OpenOnCard(provider="tensorrt", profile=PROFILE).run(graph, context)
    assert made.session.disabled_optimizers == (REQUANTIZING,)
    assert made.session.config_entries == {"session.disable_quant_qdq": "1"}
    assert made.session.profile == PROFILE


def test_a_plan_needs_the_shapes_and_nothing_that_onnx_runtime_is_told(
    graph: Artifact, context: StepContext
) -> None:
    step = OpenOnCard(provider="tensorrt-plan", profile=PROFILE)
    step.requires(graph, context)
    assert step.run(graph, context).session == SessionOptions(profile=PROFILE)


def test_a_session_without_shapes_is_written_as_ever() -> None:
    assert msgspec.json.encode(SessionOptions()) == (
        b'{"disabled_optimizers":[],"config_entries":{}}'
    )


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_what_is_to_be_captured_is_part_of_the_session(
    graph: Artifact, context: StepContext, provider: str
) -> None:
    step = OpenOnCard(provider=provider, capture=True)
    step.requires(graph, context)
    told = step.run(graph, context).session
    assert told.capture is True
    assert b'"capture":true' in msgspec.json.encode(told)
    # A bundle from before is opened as it was measured.
    old = msgspec.json.decode(b'{"disabled_optimizers":[],"config_entries":{}}', type=type(told))
    assert not captures(old)
    with pytest.raises(StepError, match="captures by itself"):
        OpenOnCard(provider="tensorrt-plan", capture=True).requires(graph, context)


def test_cuda_takes_no_shapes_and_other_forms_are_refused(
    graph: Artifact, context: StepContext
) -> None:
    with pytest.raises(StepError, match="takes any shape"):
        OpenOnCard(provider="cuda", profile=PROFILE).requires(graph, context)
    folder = msgspec.structs.replace(graph, format=Format.TRANSFORMERS)
    with pytest.raises(StepError, match="takes a model in onnx form"):
        OpenOnCard().requires(folder, context)


def test_a_pipeline_is_carried_over_whole_and_for_cuda_only(
    graph: Artifact, context: StepContext
) -> None:
    for name in ("drawing.json", "unet.onnx", "unet.onnx.data"):
        (graph.folder / name).write_bytes(name.encode())
    drawn = msgspec.structs.replace(graph, format=Format.DRAWING, entry="drawing.json")
    with pytest.raises(StepError, match="takes a model in drawing form"):
        OpenPipelineOnCard().requires(graph, context)
    with pytest.raises(StepError, match=r"the provider cuda, not tensorrt\. Give provider=cuda"):
        OpenPipelineOnCard(provider="tensorrt").requires(drawn, context)
    step = OpenPipelineOnCard()
    step.requires(drawn, context)
    made = step.run(drawn, context)
    assert (made.format, made.entry, made.session) == (
        Format.DRAWING, "drawing.json", SessionOptions()
    )  # fmt: skip
    assert (made.folder / "unet.onnx.data").read_bytes() == b"unet.onnx.data"
