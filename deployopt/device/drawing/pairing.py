"""Drawn images paired with the reference's: which agree, and how far apart they are.

In: both outputs by request, in batches of any size. Out: an error an image. An image with a number
that is not finite is infinitely far.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.drawing import GRAPHS, SECONDS
from deployopt.core.errors import IntegrityError
from deployopt.core.image_drift import LIMIT, ImageDrift
from deployopt.core.samples import Array, Feed
from deployopt.device.agreement import relative_rms


class PairedDrawings(msgspec.Struct, frozen=True, kw_only=True):
    """By image, in order."""

    agree: npt.NDArray[np.bool_]
    drift: ImageDrift


def pair_drawings(name: str, reference: Sequence[Feed], outputs: Sequence[Feed]) -> PairedDrawings:
    """The images of the output `name`.

    Raises:
        IntegrityError: they are not of the same examples, or of other sizes.
    """
    theirs, ours = _images(name, reference), _images(name, outputs)
    if len(theirs) != len(ours) or any(
        one.shape != other.shape for one, other in zip(theirs, ours, strict=False)
    ):
        raise IntegrityError(
            f"The reference drew {len(theirs)} images and the candidate {len(ours)}, or of another "
            "size: they are not of the same data."
        )
    errors = np.array(
        [
            relative_rms(mine, wanted) if np.isfinite(mine).all() else np.inf
            for mine, wanted in zip(ours, theirs, strict=True)
        ]
    )
    # JSON has no infinity, and what is not finite is counted by itself.
    finite = errors[np.isfinite(errors)]
    return PairedDrawings(
        agree=errors <= LIMIT,
        drift=ImageDrift(
            median=float(np.median(finite)) if finite.size else 0.0,
            worst=float(finite.max(initial=0.0)),
            parts_s=_parts(outputs, len(ours)),
        ),
    )


def _parts(outputs: Sequence[Feed], images: int) -> dict[str, float]:
    """Seconds an image by graph, where the session told them."""
    told = [answer[SECONDS] for answer in outputs if SECONDS in answer]
    if not told or not images:
        return {}
    sums = np.sum(told, axis=0) / images
    return {name: float(took) for name, took in zip(GRAPHS, sums, strict=True)}


def _images(name: str, answers: Sequence[Feed]) -> list[Array]:
    if any(name not in answer for answer in answers):
        raise IntegrityError(f"There is no output {name!r} in the answers.")
    return [image for answer in answers for image in answer[name]]
