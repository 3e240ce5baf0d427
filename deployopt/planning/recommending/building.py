"""What to type next, once the weights are there: our own build where there is one.

In: a candidate, what is wanted, the advised training. Out: command lines, or one sentence that says
why there are none.
"""

import shlex
from typing import Final

from deployopt.core.card import CUDA
from deployopt.core.judging.suitable import OF_OTHERS
from deployopt.core.recommendation import TrainingAdvice
from deployopt.core.tasks import ModelTask
from deployopt.core.units import UNITS, Dimension
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.setting import on_gpu
from deployopt.planning.recommending.wants import BUILT, Wants

_DATA: Final = {
    ModelTask.TEXT_CLASSIFICATION: "validation.csv",
    ModelTask.IMAGE_CLASSIFICATION: "validation",
    ModelTask.TEXT_GENERATION: "texts.txt",
}


def building(
    candidate: Candidate, wants: Wants, training: TrainingAdvice | None
) -> tuple[tuple[str, ...], str]:
    """The lines and a note; one of the two is empty."""
    entry, target = candidate.entry, wants.target
    if on_gpu(target) and not _graphs(wants):
        return (), (
            f"`deployopt build` makes no {wants.task} models for a card; export the model to "
            f"ONNX or the runtime's own format and build its engine on {target.name}"
        )
    if wants.task is ModelTask.OBJECT_DETECTION:
        return (), (
            f"`deployopt build` does not take {entry.alias} by its name; of detectors it takes "
            "folders of YOLOS, DETR and RT-DETR models, with images in COCO's form "
            "(docs/detection.md)"
        )
    if wants.task not in _DATA:
        return (), f"`deployopt build` does not take {wants.task} models"
    generates = wants.task is ModelTask.TEXT_GENERATION
    # How long whole answers take is no budget of a language model's build.
    asked = [b for b in wants.asked if not (generates and b.definition.kind in OF_OTHERS)]
    budgets = "".join(
        f" --budget {b.metric}={written_budget(b.limit, b.definition.dimension)}" for b in asked
    )
    if not entry.buildable and (training is None or generates):
        return (), f"`deployopt build` does not take {entry.alias} as it comes"
    line = f"deployopt build --target {shlex.quote(target.name)} --model"
    if training is not None:
        folder = training.output or f"./{entry.alias}-tuned"
        data = training.judges or _DATA[wants.task]
        return (f"{line} {folder} --data {data}{budgets}",), ""
    data = "" if entry.data else f" --data {_DATA[wants.task]}"
    return (f"{line} {entry.alias}{data}{budgets}",), ""


def _graphs(wants: Wants) -> bool:
    """Whether an engine or a graph for a card is built of such a model, which takes no card."""
    generates = wants.task is ModelTask.TEXT_GENERATION
    return wants.target.runtime.provider == CUDA if generates else wants.task in BUILT


def written_budget(limit: float, dimension: Dimension) -> str:
    """As `--budget` reads it, in the unit that keeps it short."""
    texts = [f"{limit / scale:.6g}{unit}" for unit, scale in UNITS[dimension].items()]
    return min(texts, key=len)
