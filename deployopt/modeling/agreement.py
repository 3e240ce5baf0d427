"""Whether an exported graph says what the model says, on real inputs.

Both answers go in; StepError comes out where they differ by more than float32's own noise.
The bound is relative to the logits' scale: |a - b| <= RELATIVE * max|a| + ABSOLUTE, and the
predicted class must be the same wherever the model's own two best are further apart than that.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed

RELATIVE: Final = 1e-4
ABSOLUTE: Final = 1e-8


def check_agreement(expected: Sequence[Array], found: Sequence[Array], what: str) -> float:
    """The greatest difference over all answers, which are `[batch, classes]` or of any shape.

    Raises:
        StepError: the shapes differ, a number is not finite, or a difference is over the bound.
    """
    scale = max((float(np.max(np.abs(e), initial=0.0)) for e in expected), default=0.0)
    bound = RELATIVE * scale + ABSOLUTE
    worst = 0.0
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        if one.shape != other.shape:
            raise StepError(
                f"{what} gives the shape {other.shape} for sample {number} where the model gives "
                f"{one.shape}: the trace has baked a size in. {_REMEDY}"
            )
        if not (np.isfinite(one).all() and np.isfinite(other).all()):
            raise StepError(f"{what} or the model gives numbers that are not finite. {_REMEDY}")
        difference = float(np.max(np.abs(one - other), initial=0.0))
        worst = max(worst, difference)
        if difference > bound or _classes_differ(one, other, bound):
            raise StepError(
                f"{what} differs from the model by {difference:.3g} on sample {number}, where "
                f"{bound:.3g} is allowed (outputs reach {scale:.3g}). {_REMEDY}"
            )
    return worst


_REMEDY: Final = "Try the other exporter: Export(exporter='dynamo'), or 'torchscript'."


def run_onnx(path: Path, feeds: Sequence[Feed], threads: int) -> list[Array]:
    """The first output of the graph for each feed, through ONNX Runtime on the CPU."""
    return run_outputs(path, feeds, threads, None)[0]


def run_outputs(
    path: Path, feeds: Sequence[Feed], threads: int, names: Sequence[str] | None
) -> list[list[Array]]:
    """The outputs of these names, or all of them, each for every feed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # The check is of the graph's meaning: time spent on optimizing and packing it is lost here.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    wanted = None if names is None else list(names)
    answers = [session.run(wanted, dict(feed)) for feed in feeds]
    return [[np.asarray(array) for array in output] for output in zip(*answers, strict=True)]


def _classes_differ(one: Array, other: Array, bound: float) -> bool:
    """Whether the best class changed in a row where it was clear."""
    if one.ndim != 2 or one.shape[1] < 2:  # noqa: PLR2004 rows of at least two classes
        return False
    best_two = np.partition(one, -2, axis=1)[:, -2:]
    clear = best_two[:, 1] - best_two[:, 0] > 2 * bound
    return bool((clear & (one.argmax(axis=1) != other.argmax(axis=1))).any())
