"""What a build of a model that draws is made of, and what it is not asked."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.bundle import Origin
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import Task
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.source import SourceModel
from deployopt.core.target import Target
from deployopt.pipeline.card_graphs import graph_note
from deployopt.pipeline.drawing import drawable, notes_of, pipeline_shape
from deployopt.pipeline.forecasting import ways_of
from deployopt.pipeline.looking import look_up
from deployopt.pipeline.recipes import Arithmetic, forms_for, recipes_for
from deployopt.pipeline.runtimes import place_of, with_runtime
from deployopt.planning.targets import load_target
from deployopt.steps.drawing import ExportPipeline, QuantizePipeline
from deployopt.steps.drawing_half import HalvePipeline
from deployopt.steps.for_card import OpenPipelineOnCard
from tests.fakes.drawing_graphs import DRAWS
from tests.fakes.pipeline_folder import write_folder

ARTIFACT = Artifact(
    format=Format.DIFFUSERS, folder=Path("m"), entry="model_index.json", digest="d", notes=("So.",)
)
SOURCE = SourceModel(
    name="it", artifact=ARTIFACT, interface=DRAWS, origin=Origin(asked="it", resolved="it")
)


def request(target: str = "rpi4", **more: Any) -> BuildRequest:
    return BuildRequest(model="it", target=load_target(target), **more)


def test_a_cpu_target_is_asked_as_it_is() -> None:
    for asked in (request(), request(runtime="onnxruntime", effort=Effort.QUICK)):
        assert drawable(asked, SOURCE) == asked


@pytest.mark.parametrize("name", ["rtx3060", "t4", "l4", "a100", "h100", "jetson-orin-nano"])
def test_a_card_gets_graphs_for_cuda_though_others_get_an_engine(name: str) -> None:
    asked = drawable(request(name), SOURCE)
    assert asked == msgspec.structs.replace(request(name), runtime="onnxruntime")
    seen = with_runtime(asked)
    assert seen.target.runtime.provider == "cuda"
    # A plan asks again with what it was given.
    assert drawable(seen, SOURCE) == seen
    assert f"{name} gets graphs for ONNX Runtime on CUDA" in notes_of(SOURCE, seen.target)[-1]


@pytest.mark.parametrize("provider", ["tensorrt", "tensorrt-plan"])
def test_a_file_of_ones_own_for_tensorrt_gets_them_too(provider: str) -> None:
    card = load_target("a100")
    runtime = msgspec.structs.replace(card.runtime, provider=provider)
    own = BuildRequest(model="it", target=msgspec.structs.replace(card, runtime=runtime))
    assert with_runtime(drawable(own, SOURCE)).target.runtime.provider == "cuda"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        *(
            ({"target": "rtx3060", "runtime": name}, f"--runtime {name} .*three graphs.*Leave")
            for name in ("tensorrt-rtx", "tensorrt", "onnxruntime-tensorrt", "openvino")
        ),
        ({"target": "rtx3060", "train_data": "prompts.txt"}, "Leave --train-data"),
        ({"runtime": "openvino"}, "--runtime openvino has no form"),
        ({"train_data": "prompts.txt"}, "Leave --train-data"),
        ({"unlabelled": Path("texts.txt")}, "Leave --train-data"),
        ({"effort": Effort.EXTENSIVE}, "--effort extensive"),
    ],
)
def test_what_is_not_built(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        drawable(request(**asked), SOURCE)


def test_the_forms_of_a_pipeline() -> None:
    target: Target = load_target("rpi4")
    arithmetic = Arithmetic(reduce_range=True, reason="7-bit weights")
    forms = forms_for(ARTIFACT, target, arithmetic, convolutional=True)
    plain, int8 = recipes_for(ARTIFACT, target, forms)
    assert plain.steps == (ExportPipeline(opset=17),)
    assert int8.steps == (ExportPipeline(opset=17), QuantizePipeline(reduce_range=True))
    assert "convolutions in float; 7-bit weights" in int8.reason


def test_the_forms_of_a_pipeline_for_a_card() -> None:
    target = with_runtime(drawable(request("rtx3060"), SOURCE)).target
    arithmetic = Arithmetic(reduce_range=False, reason="")
    forms = forms_for(ARTIFACT, target, arithmetic, convolutional=True, place=place_of(target))
    recipes = recipes_for(ARTIFACT, target, forms)
    last = OpenPipelineOnCard(provider="cuda")
    assert {one.name: one.steps for one in recipes} == {
        "float": (ExportPipeline(opset=17), last),
        "fp16": (ExportPipeline(opset=17), HalvePipeline(), last),
    }
    ways = {one.name: one.precision for one in ways_of(recipes, ARTIFACT)}
    assert ways == {"float": Precision.FP32, "fp16": Precision.FP16}
    drawn = msgspec.structs.replace(ARTIFACT, format=Format.DRAWING)
    note = graph_note(target, drawn, ran=False)
    assert note is not None
    assert (note.provider, note.runtime, note.ran) == ("cuda", "onnxruntime-gpu", False)


def test_what_a_person_should_know() -> None:
    assert notes_of(SOURCE, load_target("rpi4")) == ("So.",)


def test_a_folder_is_looked_up_by_its_configs(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    found = look_up(str(folder))
    assert found.architecture == pipeline_shape(folder)
    assert found.architecture is not None
    # As diffusers' own networks of these configs count it.
    assert found.architecture.parameters == 929_179
    assert "20 steps of 2 prompts" in found.architecture.basis


def test_folders_that_are_no_pipeline(tmp_path: Path) -> None:
    other = write_folder(tmp_path / "other", index={"_class_name": "FluxPipeline"})
    with pytest.raises(UsageError, match=r"FluxPipeline.*deployopt builds StableDiffusionPipeline"):
        pipeline_shape(other)
    folder = write_folder(tmp_path / "model")
    (folder / "unet" / "config.json").write_bytes(b" " * (16 * 2**20 + 1))
    with pytest.raises(RefusedInputError, match="more than"):
        pipeline_shape(folder)
    (folder / "unet" / "config.json").unlink()
    with pytest.raises(UsageError, match=r"lacks unet/config\.json"):
        pipeline_shape(folder)


def test_other_models_are_asked_anything() -> None:
    classifies = msgspec.structs.replace(DRAWS, task=Task.TEXT_CLASSIFICATION)
    other = msgspec.structs.replace(SOURCE, interface=classifies)
    asked = request("rtx3060", effort=Effort.DEFAULT)
    assert drawable(asked, other) == asked
    assert notes_of(other, asked.target) == ()
    assert ARTIFACT.precision is Precision.FP32
