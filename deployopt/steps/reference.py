"""The reference's own answers, by the library that the model came for; not a step of a recipe."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from deployopt.core.samples import Array, Feed
from deployopt.core.source import SourceModel


def predict_reference(
    source: SourceModel,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
) -> npt.NDArray[np.float32]:
    """Logits `[n, classes]`, a row a feed; raises StepError where they are not finite."""
    from deployopt.modeling.reference import predict

    return predict(
        source.artifact.folder, source.interface, feeds, threads=threads, progress=progress
    )


def find_reference_boxes(
    source: SourceModel,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
) -> list[dict[str, Array]]:
    """A detector's outputs, a request each; raises StepError where they are not finite."""
    from deployopt.modeling.reference import find_boxes

    return find_boxes(
        source.artifact.folder, source.interface, feeds, threads=threads, progress=progress
    )
