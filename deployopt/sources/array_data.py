"""Arrays for a graph as three splits: from files, or made up where there are none."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from deployopt.catalogue.data import SYNTHETIC
from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.core.examples import Examples
from deployopt.core.interface import ArrayInputs
from deployopt.core.measurement import Split
from deployopt.core.samples import Feed
from deployopt.core.source import SourceModel
from deployopt.sources.adopting import file_entries
from deployopt.sources.arrays import list_arrays, read_arrays, synthetic_feeds
from deployopt.sources.parts import Found, Parts, Request, pick
from deployopt.sources.splitting import Labelled, cut

MADE_UP: Final = 256
MADE_UP_NOTE: Final = (
    "The inputs are made up, so accuracy is not certified: outputs are compared with the "
    "reference's on seeded noise. Give real inputs as the data to judge by."
)
UNLABELLED_NOTE: Final = "The data has no labels: agreement with the reference stands for accuracy."


def find_arrays(request: Request, path: Path) -> Found:
    """An npz or npy file, or a folder of npz files."""
    root = path if path.is_dir() else path.parent
    names = list_arrays(path)
    files = file_entries(root, names, request.store)
    return Found(
        name=path.name,
        origin=Origin(asked=request.name, resolved=f"file {path.name}", files=files),
        read=lambda: _split(root, names, request, f"{path.name}/{request.seed}"),
    )


def make_up(request: Request) -> Found:
    """Seeded inputs of the graph's declared shapes, for agreement and latency only."""
    inputs = _inputs(request.model)
    return Found(
        name=SYNTHETIC,
        origin=Origin(asked=SYNTHETIC, resolved=f"made up with seed {request.seed}"),
        read=lambda: _made_up(inputs, request.seed),
    )


def _inputs(model: SourceModel) -> ArrayInputs:
    inputs = model.interface.inputs
    if not isinstance(inputs, ArrayInputs):
        raise UsageError(f"{model.name} takes no plain arrays.")
    return inputs


def _made_up(inputs: ArrayInputs, seed: int) -> Parts:
    feeds = synthetic_feeds(inputs, MADE_UP, seed)
    first, second = max(1, len(feeds) // 8), max(2, len(feeds) // 4)
    splits = {
        Split.CALIBRATION: Examples(inputs=feeds[:first], labels=None),
        Split.SEARCH: Examples(inputs=feeds[first:second], labels=None),
        Split.GATE: Examples(inputs=feeds[second:], labels=None),
    }
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds[0].items())
    return Parts(splits=splits, notes=(f"{MADE_UP_NOTE} They are {shapes}.",))


def _split(root: Path, names: tuple[str, ...], request: Request, salt: str) -> Parts:
    arrays = read_arrays(root, names, _inputs(request.model))
    # Labels mean nothing to a graph whose answer is not known to be a class.
    labels = arrays.labels if request.model.interface.labels else None
    keys = [_content(feed) for feed in arrays.feeds]
    kept = _first_of_each(keys)
    classes = None if labels is None else tuple(labels[at] for at in kept)
    data = Labelled(keys=[keys[at] for at in kept], classes=classes)
    rows = cut(data, salt=salt, sizes=request.options.sizes, where=str(root))
    feeds = [arrays.feeds[at] for at in kept]
    splits = {split: pick(feeds, classes, at) for split, at in rows.items()}
    return Parts(splits=splits, notes=() if classes else (UNLABELLED_NOTE,))


def _content(feed: Feed) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(feed):
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(feed[name]).tobytes())
    return digest.digest()


def _first_of_each(keys: Sequence[bytes]) -> list[int]:
    first: dict[bytes, int] = {}
    for at, key in enumerate(keys):
        first.setdefault(key, at)
    return sorted(first.values())
