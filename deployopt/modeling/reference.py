"""What the model as it came answers: logits for many requests, through torch, quickly.

Texts of like length go together, padded and masked; the answers equal those of batch 1 within
1e-5, which the tests check. The order of the answers is the order of the requests.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from deployopt.core.errors import StepError
from deployopt.core.interface import PAIR_SCORES, Interface
from deployopt.core.samples import Array, Feed
from deployopt.modeling.batching import batches
from deployopt.modeling.dummies import pad_together
from deployopt.modeling.threads import torch_threads
from deployopt.modeling.wrapping import Logits, input_names, opened, tensors, wrapped


def _silent(done: float, what: str) -> None:
    """No one is watching."""


def predict(
    folder: Path,
    interface: Interface,
    feeds: Sequence[Feed],
    *,
    threads: int = 1,
    batch: int = 32,
    progress: Callable[[float, str], None] = _silent,
) -> npt.NDArray[np.float32]:
    """Logits `[n, classes]`, one row a feed, each feed one example with a batch dimension of 1.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load, or gives numbers that are not finite.
    """
    model = opened(folder, interface)
    found = predict_with(model, interface, feeds, threads=threads, batch=batch, progress=progress)
    if not np.isfinite(found).all():
        raise StepError(f"The model in {folder} gives numbers that are not finite.")
    return found


def predict_with(
    module: torch.nn.Module,
    interface: Interface,
    feeds: Sequence[Feed],
    *,
    threads: int = 1,
    batch: int = 32,
    progress: Callable[[float, str], None] = _silent,
) -> npt.NDArray[np.float32]:
    """The same of a module that is open already; what it gives is not checked."""
    model = Logits(module, input_names(interface))
    answers: list[npt.NDArray[np.float32]] = [np.empty(0, np.float32)] * len(feeds)
    done = 0
    with torch_threads(threads), torch.inference_mode():
        for rows in batches(feeds, interface, batch):
            together = pad_together([feeds[row] for row in rows], interface)
            logits = model(*tensors(together, model.names)).float().numpy()
            for row, answer in zip(rows, logits, strict=True):
                answers[row] = answer
            done += len(rows)
            progress(done / len(feeds), f"reference: {done} of {len(feeds)}")
    return np.stack(answers) if answers else np.empty((0, len(interface.labels)), np.float32)


def find_boxes(
    folder: Path,
    interface: Interface,
    feeds: Sequence[Feed],
    *,
    threads: int = 1,
    batch: int = 8,
    progress: Callable[[float, str], None] = _silent,
) -> list[dict[str, Array]]:
    """The outputs of a detector, or of an image-text model, one request of one example each.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: it does not load, or gives numbers that are not finite.
    """
    model = wrapped(opened(folder, interface), interface)
    names = input_names(interface)
    found: list[dict[str, Array]] = []
    with torch_threads(threads), torch.inference_mode():
        for start in range(0, len(feeds), batch):
            together = pad_together(feeds[start : start + batch], interface)
            answers = [tensor.float().numpy() for tensor in model(*tensors(together, names))]
            for row in range(len(answers[0])):
                pairs = zip(interface.outputs, answers, strict=True)
                found.append({name: _row(name, answer, row) for name, answer in pairs})
            progress(len(found) / len(feeds), f"reference: {len(found)} of {len(feeds)}")
    if not all(np.isfinite(array).all() for one in found for array in one.values()):
        raise StepError(f"The model in {folder} gives numbers that are not finite.")
    return found


def _row(name: str, answer: Array, row: int) -> Array:
    """What one example would be answered by itself: of every image with every text its own."""
    one: Array = answer[row : row + 1]
    return one[:, row : row + 1] if name == PAIR_SCORES else one
