"""Pipelines that draw, as a build and a plan see them: what is not asked, the steps, the shape.

In: a request and a model that draws, or its folder. Out: the runtime that opens it; the steps for a
CPU target; what one image takes, by the configs alone. Refuses another runtime than ONNX Runtime,
and teaching.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import GUIDANCE, STEPS
from deployopt.core.recipe import Step
from deployopt.core.request import BuildRequest
from deployopt.core.search import Effort
from deployopt.core.source import SourceModel
from deployopt.core.target import Target
from deployopt.planning.architectures.diffusion import Drawn, pipeline_architecture
from deployopt.sources.checks import CONFIG_MAX_BYTES, check_regular, read_object
from deployopt.sources.diffusion import check_index
from deployopt.sources.diffusion_files import CONFIG, CONFIGS, WEIGHTS
from deployopt.steps.drawing import ExportPipeline, QuantizePipeline

_TORCHSCRIPT_OPSET: Final = 17
_RUNTIME: Final = "onnxruntime"
_ON_CARD: Final = (
    "{target} gets graphs for ONNX Runtime on CUDA: a model that draws is three graphs and a loop, "
    "of which TensorRT's engines and plans are not made."
)
DRAWN: Final = Drawn(steps=STEPS, prompts=2 if GUIDANCE > 1 else 1)


def drawable(request: BuildRequest, source: SourceModel) -> BuildRequest:
    """The request of a model that draws, for the runtime that opens it; of any other as it is.

    Raises:
        UsageError: as `drawn_request`.
    """
    return drawn_request(request, source.name) if source.interface.draws else request


def drawn_request(request: BuildRequest, name: str) -> BuildRequest:
    """For a card, the request with ONNX Runtime on CUDA as its runtime, whatever the target's own.

    Raises:
        UsageError: another runtime, or something to learn from.
    """
    on_card = request.target.runtime.provider != "cpu"
    if request.runtime not in (None, _RUNTIME):
        raise UsageError(_other_runtime(request, name) if on_card else _other_on_cpu(request))
    if request.train_data is not None or request.unlabelled is not None:
        raise UsageError(
            f"{name} draws, and smaller shapes are taught to classifiers only. Leave "
            "--train-data and --unlabelled out."
        )
    if request.effort not in (None, Effort.QUICK):
        raise UsageError(
            f"{name} draws, and --effort {request.effort} looks for smaller shapes, of "
            "which there are none here. Leave it out."
        )
    return msgspec.structs.replace(request, runtime=_RUNTIME) if on_card else request


def _other_on_cpu(request: BuildRequest) -> str:
    return (
        f"--runtime {request.runtime} has no form of models that draw. Leave it out: they run "
        "in ONNX Runtime."
    )


def _other_runtime(request: BuildRequest, name: str) -> str:
    return (
        f"--runtime {request.runtime} is for models of one graph, and {name} draws with three and "
        "a loop between them. What is possible for "
        f"{request.target.name}: three graphs in fp32 and fp16 for ONNX Runtime on CUDA. Leave "
        f"--runtime out, or give --runtime {_RUNTIME}."
    )


def pipeline_shape(folder: Path) -> Architecture:
    """What one image takes, by the configs alone.

    Raises:
        UsageError: another pipeline, a config that is missing, or a block that is not known.
        RefusedInputError: a config could break a reader.
    """
    check_index(folder)
    missing = [name for name in CONFIGS if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} is not a whole pipeline: it lacks {', '.join(missing)}.")
    for name in CONFIGS:
        check_regular(folder / name, folder)
        if (folder / name).stat().st_size > CONFIG_MAX_BYTES:
            raise RefusedInputError(f"{folder / name} has more than {CONFIG_MAX_BYTES} bytes.")
    parts = {part: read_object(folder / part / CONFIG) for part in WEIGHTS}
    return pipeline_architecture(parts, DRAWN)


def notes_of(source: SourceModel, target: Target) -> tuple[str, ...]:
    """What a person should know of a model that draws; nothing of others."""
    return (*source.artifact.notes, *notes_on(target)) if source.interface.draws else ()


def notes_on(target: Target) -> tuple[str, ...]:
    """What a target's card gets of a model that draws, which is not what it gets of others."""
    return () if target.runtime.provider == "cpu" else (_ON_CARD.format(target=target.name),)


def export_steps(target: Target) -> tuple[Step, ...]:
    """From the folder as it came to float graphs."""
    return (ExportPipeline(opset=min(_TORCHSCRIPT_OPSET, target.runtime.opset_max)),)


def quantize_steps(*, reduce_range: bool) -> tuple[Step, ...]:
    """What follows them for int8."""
    return (QuantizePipeline(reduce_range=reduce_range),)
