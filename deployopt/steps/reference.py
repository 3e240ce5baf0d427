"""The reference's own answers, by the library that the model came for; not a step of a recipe.

On the first card that torch sees, where it is large enough; `worked` is told where it was.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from deployopt.core.errors import StepError
from deployopt.core.interface import DrawingInputs
from deployopt.core.samples import Array, Feed
from deployopt.core.source import SourceModel
from deployopt.core.worked import Worked


def predict_reference(
    source: SourceModel,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
    worked: Worked | None = None,
) -> npt.NDArray[np.float32]:
    """Logits `[n, classes]`, a row a feed; raises StepError where they are not finite."""
    from deployopt.modeling.reference import predict

    return predict(
        source.artifact.folder,
        source.interface,
        feeds,
        threads=threads,
        progress=progress,
        worked=worked,
    )


def find_reference_boxes(
    source: SourceModel,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
    worked: Worked | None = None,
) -> list[dict[str, Array]]:
    """A detector's outputs, a request each; raises StepError where they are not finite."""
    from deployopt.modeling.reference import find_boxes

    return find_boxes(
        source.artifact.folder,
        source.interface,
        feeds,
        threads=threads,
        progress=progress,
        worked=worked,
    )


def draw_reference_images(
    source: SourceModel,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
    worked: Worked | None = None,
) -> list[dict[str, Array]]:
    """What the pipeline draws, an image a request; raises StepError where one is not finite.

    Raises:
        MissingExtraError: diffusers is not installed.
    """
    from deployopt.modeling.drawing.reference import draw_reference

    interface = source.interface
    if not isinstance(interface.inputs, DrawingInputs):
        raise StepError(f"{source.name} draws nothing.")
    return draw_reference(
        source.artifact.folder,
        interface.inputs,
        feeds,
        interface.outputs[0],
        threads=threads,
        progress=progress,
        worked=worked,
    )
