"""Pipelines that draw, as a build and a plan see them: what is not asked, the steps, the shape.

In: a request and a model that draws, or its folder. Out: the steps for a CPU target; what one image
takes, by the configs alone. Refuses what would need a card, another runtime than ONNX Runtime, or
teaching.
"""

from pathlib import Path
from typing import Final

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
DRAWN: Final = Drawn(steps=STEPS, prompts=2 if GUIDANCE > 1 else 1)


def require_drawable(request: BuildRequest, source: SourceModel) -> None:
    """Refuse what a model that draws is not built for; any other model passes.

    Raises:
        UsageError: a card, another runtime, or something to learn from.
    """
    if not source.interface.draws:
        return
    target = request.target
    if target.runtime.provider != "cpu":
        raise UsageError(
            f"Target {target.name} runs on {target.runtime.provider}, and models that draw are "
            "built for CPU targets. What is possible: `deployopt plan` and `deployopt fit` say "
            "what it needs on that card; the graphs of a CPU bundle are plain ONNX files in "
            "float32, which onnxruntime-gpu opens there, unmeasured."
        )
    if request.runtime not in (None, _RUNTIME):
        raise UsageError(
            f"--runtime {request.runtime} has no form of models that draw. Leave it out: they run "
            "in ONNX Runtime."
        )
    if request.train_data is not None or request.unlabelled is not None:
        raise UsageError(
            f"{source.name} draws, and smaller shapes are taught to classifiers only. Leave "
            "--train-data and --unlabelled out."
        )
    if request.effort not in (None, Effort.QUICK):
        raise UsageError(
            f"{source.name} draws, and --effort {request.effort} looks for smaller shapes, of "
            "which there are none here. Leave it out."
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


def notes_of(source: SourceModel) -> tuple[str, ...]:
    """What a person should know of a model that draws; nothing of others."""
    return source.artifact.notes if source.interface.draws else ()


def export_steps(target: Target) -> tuple[Step, ...]:
    """From the folder as it came to float graphs."""
    return (ExportPipeline(opset=min(_TORCHSCRIPT_OPSET, target.runtime.opset_max)),)


def quantize_steps(*, reduce_range: bool) -> tuple[Step, ...]:
    """What follows them for int8."""
    return (QuantizePipeline(reduce_range=reduce_range),)
