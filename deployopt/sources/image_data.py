"""A folder of labelled images as three splits."""

from pathlib import Path
from typing import Final

from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.core.examples import IMAGE, Example
from deployopt.core.interface import ImageInputs
from deployopt.core.measurement import Split
from deployopt.core.source import SourceModel
from deployopt.sources.adopting import file_entries
from deployopt.sources.checks import read_object
from deployopt.sources.images import BILINEAR, ImageFile, list_images, read_images
from deployopt.sources.labels import match_labels
from deployopt.sources.parts import IMAGE_BYTES_MAX, Found, Parts, Request, pick
from deployopt.sources.preprocessing import read_preprocessor
from deployopt.sources.splits import IndexArray
from deployopt.sources.splitting import Labelled, cut, without_duplicates

_PREPROCESSOR: Final = "preprocessor_config.json"


def find_images(request: Request, path: Path) -> Found:
    """A local folder with one sub-folder a class."""
    if not path.is_dir():
        raise UsageError(f"{path} is no folder; images come in one sub-folder a class.")
    files = list_images(path)
    entries = file_entries(path, (file.name for file in files), request.store)
    digests = {entry.path: entry.sha256 for entry in entries}
    return Found(
        name=path.name,
        origin=Origin(asked=request.name, resolved=f"folder {path.name}", files=entries),
        read=lambda: _split(path, files, digests, request),
    )


def _split(
    folder: Path, files: tuple[ImageFile, ...], digests: dict[str, str], request: Request
) -> Parts:
    model = request.model
    inputs = model.interface.inputs
    if not isinstance(inputs, ImageInputs):
        raise UsageError(f"{model.name} takes no images.")
    labels = model.interface.labels
    matched = match_labels([file.label for file in files], labels, where=str(folder))
    keys = [digests[file.name] for file in files]
    kept, counts = without_duplicates(keys, matched.classes)
    classes = [matched.classes[at] for at in kept]
    content = [bytes.fromhex(keys[at]) for at in kept]
    labelled = Labelled(keys=content, classes=tuple(classes))
    salt = f"{folder.name}/{request.seed}"
    rows = cut(labelled, salt=salt, sizes=request.options.sizes, where=str(folder))
    rows, notes = within_room(rows, inputs)
    resample = model_resample(model)
    splits = {}
    for split, at in rows.items():
        chosen = tuple(files[kept[row]] for row in at.tolist())
        images = read_images(folder, chosen, inputs, resample)
        feeds: list[Example] = [{IMAGE: image} for image in images]
        here = [classes[row] for row in at.tolist()]
        splits[split] = pick(feeds, here, _all(len(feeds)))
    repeated = counts["duplicates"] + counts["contradictions"]
    if repeated:
        notes = (*notes, f"{folder.name}: {repeated} repeated images were left out.")
    return Parts(splits=splits, notes=(*matched.notes, *notes))


def _all(count: int) -> IndexArray:
    import numpy as np

    return np.arange(count, dtype=np.int64)


def within_room(
    rows: dict[Split, IndexArray], inputs: ImageInputs
) -> tuple[dict[Split, IndexArray], tuple[str, ...]]:
    """Fewer gate images where all of them would be a bundle of gigabytes."""
    side = inputs.resize or max(inputs.height, inputs.width)
    # Photographs are about three to two.
    each = side * side * 3 * 3 // 2
    room = max(
        1, IMAGE_BYTES_MAX // each - sum(len(x) for x in rows.values()) + len(rows[Split.GATE])
    )
    if len(rows[Split.GATE]) <= room:
        return rows, ()
    note = f"The gate holds {room} of {len(rows[Split.GATE])} images, a gigabyte of pixels."
    return rows | {Split.GATE: rows[Split.GATE][:room]}, (note,)


def model_resample(model: SourceModel) -> int:
    """The filter that the model was trained with, as Pillow numbers it."""
    path = model.artifact.folder / _PREPROCESSOR
    if not path.exists():
        return BILINEAR
    return read_preprocessor(read_object(path), str(path)).resample
