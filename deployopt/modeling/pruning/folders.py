"""A model folder in, a smaller model folder out."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from deployopt.core.interface import Interface
from deployopt.core.samples import Feed
from deployopt.modeling.batching import batches
from deployopt.modeling.dummies import check_feeds
from deployopt.modeling.encoders import Encoder
from deployopt.modeling.loading import load_model
from deployopt.modeling.pixels import batch_of
from deployopt.modeling.pruning.scoring import Importance, scores
from deployopt.modeling.pruning.shape import Shape, smaller
from deployopt.modeling.pruning.surgery import prune
from deployopt.modeling.saving import save_folder
from deployopt.modeling.threads import torch_threads


class CutOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As the step Prune, and how many inputs are weighed at once and checked in the end."""

    layers: tuple[int, ...]
    ffn: float
    heads: float
    channels: float
    importance: str
    batch: int
    checked: int
    threads: int


class Pruned(Shape, frozen=True, kw_only=True):
    """What was kept, and how it was chosen."""

    method: Importance


def prune_folder(
    folder: Path,
    interface: Interface,
    destination: Path,
    options: CutOptions,
    feeds: Sequence[Feed] = (),
) -> Pruned:
    """Write the pruned model and its tokenizer into `destination`, an empty folder.

    Raises:
        RefusedInputError: the folder may not be opened.
        StepError: the family, the shape, or the check after the cut.
    """
    model = load_model(folder, interface.task)
    whole = Encoder(model).shape
    shape = smaller(whole, layers=options.layers, heads=options.heads, ffn=options.ffn)
    together, checked = inputs_for(feeds, interface, options)
    with torch_threads(options.threads):
        found = scores(model, together, Importance(options.importance))
        pruned = prune(model, shape, found, checked)
    save_folder(pruned, folder, destination)
    return Pruned(**msgspec.structs.asdict(shape), method=found.method)


def inputs_for(
    feeds: Sequence[Feed], interface: Interface, options: CutOptions
) -> tuple[list[Feed], list[Feed]]:
    """Batches to weigh parts by, and requests to check the cut with."""
    together: list[Feed] = [
        batch_of([feeds[row] for row in rows], interface)
        for rows in batches(feeds, interface, options.batch)
    ]
    checked = check_feeds(interface, feeds, options.checked)
    return together, [batch_of([feed], interface) for feed in checked]
