"""Detectors that their own package trains, rather than a script of transformers.

In: a run. Out: one line, or nothing where the family has no command of its own.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

from deployopt.catalogue.models import Entry
from deployopt.core.memory import Method
from deployopt.planning.recommending.run import Run

_BACKBONE: Final = 10
"""Modules of a YOLOv8's backbone."""


def trainable(entry: Entry) -> bool:
    """Whether there are weights to start from: on the hub, or in the family's own package."""
    return entry.repository is not None or entry.family in FAMILIES


def _ultralytics(run: Run) -> str:
    training = run.training
    together = training.batch * training.devices
    cards = ",".join(str(number) for number in range(training.devices))
    words = [
        f"yolo detect train model={run.entry.alias}.pt data=data.yaml epochs={run.epochs}",
        f"batch={together} imgsz={run.entry.image_size or 640} optimizer=AdamW",
        f"lr0={run.learning_rate:g} warmup_epochs={_warmup_epochs(run)}",
        f"patience={max(3, run.epochs // 5)} device={'cpu' if run.cpu else cards}",
    ]
    if training.method is Method.FREEZE:
        words.append(f"freeze={_BACKBONE}")
    return " ".join([*words, f"name={run.folder}"])


def _yolox(run: Run) -> str:
    name = run.entry.alias.replace("-", "_")
    together = run.training.batch * run.training.devices
    return (
        f"python -m yolox.tools.train -f my_{name}.py -d {run.training.devices} -b {together} "
        f"--fp16 -o -c {name}.pth"
    )


def _warmup_epochs(run: Run) -> int:
    return max(1, math.ceil(run.epochs * run.warmup_share))


FAMILIES: Final[Mapping[str, Callable[[Run], str]]] = {
    "yolov8": _ultralytics,
    "yolox": _yolox,
}
NOTES: Final[Mapping[str, str]] = {
    "yolox": "my_{name}.py is your own Exp: classes, paths, {epochs} epochs, the rate {rate:g}",
}
