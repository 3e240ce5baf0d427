"""What the model as it came answers: logits for many requests, through torch, quickly.

Texts of like length go together, padded and masked; the answers equal those of batch 1 within
1e-5, which the tests check. The order of the answers is the order of the requests. On a card where
torch has one that is large enough (reference_card.py); `worked` is told where it was.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from deployopt.core.errors import StepError
from deployopt.core.interface import PAIR_SCORES, Interface
from deployopt.core.samples import Array, Feed
from deployopt.core.worked import Worked
from deployopt.modeling.batching import batches
from deployopt.modeling.dummies import pad_together
from deployopt.modeling.reference_card import Place, worked_out
from deployopt.modeling.threads import torch_threads
from deployopt.modeling.wrapping import Logits, input_names, opened, tensors, wrapped


def _silent(done: float, what: str) -> None:
    """No one is watching."""


def predict(  # noqa: PLR0913 -- how, and who is told
    folder: Path,
    interface: Interface,
    feeds: Sequence[Feed],
    *,
    threads: int = 1,
    batch: int = 32,
    progress: Callable[[float, str], None] = _silent,
    worked: Worked | None = None,
) -> npt.NDArray[np.float32]:
    """Logits `[n, classes]`, one row a feed, each feed one example with a batch dimension of 1.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load, or gives numbers that are not finite.
    """
    model = opened(folder, interface)
    found = predict_with(
        model, interface, feeds, threads=threads, batch=batch, progress=progress, worked=worked
    )
    if not np.isfinite(found).all():
        raise StepError(f"The model in {folder} gives numbers that are not finite.")
    return found


def predict_with(  # noqa: PLR0913 -- how, and who is told
    module: torch.nn.Module,
    interface: Interface,
    feeds: Sequence[Feed],
    *,
    threads: int = 1,
    batch: int = 32,
    progress: Callable[[float, str], None] = _silent,
    worked: Worked | None = None,
) -> npt.NDArray[np.float32]:
    """The same of a module that is open already; what it gives is not checked."""
    model = Logits(module, input_names(interface))

    def split(rows: Sequence[int], size: int) -> list[list[int]]:
        alike = batches([feeds[row] for row in rows], interface, size)
        return [[rows[at] for at in group] for group in alike]

    def work(place: Place) -> dict[int, npt.NDArray[np.float32]]:
        answers: dict[int, npt.NDArray[np.float32]] = {}

        def ask(rows: list[int]) -> None:
            together = pad_together([feeds[row] for row in rows], interface)
            logits = model(*tensors(together, model.names, place.device)).float().cpu().numpy()
            answers.update(zip(rows, logits, strict=True))
            progress(len(answers) / len(feeds), f"reference: {len(answers)} of {len(feeds)}")

        with torch_threads(threads), torch.inference_mode():
            place.ask(range(len(feeds)), split, batch, ask)
        return answers

    answers = worked_out(model, work, worked)
    if not answers:
        return np.empty((0, len(interface.labels)), np.float32)
    return np.stack([answers[row] for row in range(len(feeds))])


def find_boxes(  # noqa: PLR0913 -- how, and who is told
    folder: Path,
    interface: Interface,
    feeds: Sequence[Feed],
    *,
    threads: int = 1,
    batch: int = 8,
    progress: Callable[[float, str], None] = _silent,
    worked: Worked | None = None,
) -> list[dict[str, Array]]:
    """The outputs of a detector, or of an image-text model, one request of one example each.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load, or gives numbers that are not finite.
    """
    model = wrapped(opened(folder, interface), interface)
    names = input_names(interface)

    def work(place: Place) -> dict[int, dict[str, Array]]:
        found: dict[int, dict[str, Array]] = {}

        def ask(rows: list[int]) -> None:
            together = pad_together([feeds[row] for row in rows], interface)
            given = model(*tensors(together, names, place.device))
            answers = dict(
                zip(interface.outputs, (one.float().cpu().numpy() for one in given), strict=True)
            )
            for at, row in enumerate(rows):
                found[row] = {name: _row(name, answer, at) for name, answer in answers.items()}
            progress(len(found) / len(feeds), f"reference: {len(found)} of {len(feeds)}")

        with torch_threads(threads), torch.inference_mode():
            place.ask(range(len(feeds)), _in_order, batch, ask)
        return found

    found = worked_out(model, work, worked)
    if not all(np.isfinite(array).all() for one in found.values() for array in one.values()):
        raise StepError(f"The model in {folder} gives numbers that are not finite.")
    return [found[row] for row in range(len(feeds))]


def _in_order(rows: Sequence[int], size: int) -> list[list[int]]:
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def _row(name: str, answer: Array, row: int) -> Array:
    """What one example would be answered by itself: of every image with every text its own."""
    one: Array = answer[row : row + 1]
    return one[:, row : row + 1] if name == PAIR_SCORES else one
