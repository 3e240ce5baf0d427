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
from deployopt.pipeline.drawing import notes_of, pipeline_shape, require_drawable
from deployopt.pipeline.looking import look_up
from deployopt.pipeline.recipes import Arithmetic, forms_for, recipes_for
from deployopt.planning.targets import load_target
from deployopt.steps.drawing import ExportPipeline, QuantizePipeline
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


def test_a_cpu_target_and_nothing_else_passes() -> None:
    require_drawable(request(), SOURCE)
    require_drawable(request(runtime="onnxruntime", effort=Effort.QUICK), SOURCE)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"target": "rtx3060"}, "built for CPU targets.*deployopt plan"),
        ({"runtime": "openvino"}, "--runtime openvino has no form"),
        ({"train_data": "prompts.txt"}, "Leave --train-data"),
        ({"unlabelled": Path("texts.txt")}, "Leave --train-data"),
        ({"effort": Effort.EXTENSIVE}, "--effort extensive"),
    ],
)
def test_what_is_not_built(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        require_drawable(request(**asked), SOURCE)


def test_the_forms_of_a_pipeline() -> None:
    target: Target = load_target("rpi4")
    arithmetic = Arithmetic(reduce_range=True, reason="7-bit weights")
    forms = forms_for(ARTIFACT, target, arithmetic, convolutional=True)
    plain, int8 = recipes_for(ARTIFACT, target, forms)
    assert plain.steps == (ExportPipeline(opset=17),)
    assert int8.steps == (ExportPipeline(opset=17), QuantizePipeline(reduce_range=True))
    assert "convolutions in float; 7-bit weights" in int8.reason


def test_what_a_person_should_know() -> None:
    assert notes_of(SOURCE) == ("So.",)


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
    require_drawable(request("rtx3060", effort=Effort.DEFAULT), other)
    assert notes_of(other) == ()
    assert ARTIFACT.precision is Precision.FP32
