"""Images with captions as three splits of an image-text model's data.

In: a file with the columns image and caption (CSV, JSON lines, Parquet), or the folder that holds
it; images lie beside it, or below. Out: splits of images at the model's size with their captions.
Refuses images outside of the file's folder, and captions that are longer than the text tower reads.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.core.examples import Example, Examples
from deployopt.core.interface import PairInputs
from deployopt.core.pairs import captioned_example
from deployopt.core.text import safe_text
from deployopt.sources.adopting import file_entries
from deployopt.sources.caption_ids import CaptionIds
from deployopt.sources.checks import check_regular
from deployopt.sources.hub_files import is_plain
from deployopt.sources.image_data import model_resample, within_room
from deployopt.sources.images import image_reader, read_image
from deployopt.sources.parts import Found, Parts, Request, one_data_file
from deployopt.sources.splitting import Labelled, cut, without_duplicates
from deployopt.sources.tables import SUFFIXES, Row, read_table

IMAGE_COLUMN: Final = "image"
CAPTION_COLUMN: Final = "caption"
_SHOWN: Final = 80


def find_pairs(request: Request, path: Path) -> Found:
    """A local file of images and captions, or the folder that holds it.

    Raises:
        UsageError: it is no such file, or an image is missing.
        RefusedInputError: an image is a link out of its folder.
    """
    if path.is_dir() and not any(one.suffix in SUFFIXES for one in path.iterdir()):
        raise UsageError(
            f"{path} holds no file of captions. An image-text model is judged by images and a file "
            f"with the columns {IMAGE_COLUMN} and {CAPTION_COLUMN} beside them (CSV, JSON lines, "
            "Parquet). To choose among labels, for images in one sub-folder a class, name the "
            "labels with --labels."
        )
    file = one_data_file(path, SUFFIXES)
    chosen = request.options.columns
    # A caption is the text, and the image what goes with it.
    columns = {
        "text": chosen.get("text", CAPTION_COLUMN),
        "label": chosen.get("label", IMAGE_COLUMN),
    }
    rows = read_table(file, columns).rows
    for row in rows:
        _check(file, row)
    names = [str(row.label) for row in rows]
    entries = file_entries(file.parent, names, request.store)
    (asked,) = file_entries(file.parent, (file.name,), request.store)
    digests = [entry.sha256 for entry in entries]
    unlike = {entry.path: entry for entry in entries}
    return Found(
        name=file.name,
        origin=Origin(
            asked=request.name, resolved=f"file {file.name}", files=(asked, *unlike.values())
        ),
        read=lambda: _split(file, rows, digests, request),
    )


def _check(file: Path, row: Row) -> None:
    name = str(row.label)
    if not row.text.strip():
        raise UsageError(f"{file}, line {row.line}: the caption is empty. Leave such rows out.")
    if not is_plain(name):
        raise UsageError(
            f"{file}, line {row.line}: the image {safe_text(name, _SHOWN)!r} is not named as one "
            "below the file's folder. Put the images there, and name them from there."
        )
    if not _there(file.parent / name):
        raise UsageError(
            f"{file}, line {row.line}: there is no image {safe_text(name, _SHOWN)!r} in "
            f"{file.parent}. Put it there, or leave the row out."
        )
    check_regular(file.parent / name, file.parent)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def _split(file: Path, rows: Sequence[Row], digests: Sequence[str], request: Request) -> Parts:
    inputs = request.model.interface.inputs
    if not isinstance(inputs, PairInputs):
        raise UsageError(f"{request.model.name} takes no pairs of image and text.")
    _check_lengths(file, rows, request, inputs)
    kept, counts = without_duplicates(digests, [0] * len(digests))
    content = Labelled(keys=[bytes.fromhex(digests[at]) for at in kept], classes=None)
    salt = f"{file.name}/{request.seed}"
    cuts = cut(content, salt=salt, sizes=request.options.sizes, where=str(file))
    cuts, notes = within_room(cuts, inputs.image)
    resample = model_resample(request.model)
    splits = {}
    with image_reader(file.parent) as reader:
        for split, at in cuts.items():
            examples: list[Example] = []
            for chosen in at.tolist():
                row = rows[kept[chosen]]
                pixels = read_image(file.parent / str(row.label), inputs.image, resample, reader)
                examples.append(captioned_example(pixels, row.text))
            splits[split] = Examples(inputs=examples, labels=None)
    if counts["duplicates"]:
        told = (
            f"{file.name}: of images that come more than once the first caption was taken; "
            f"{counts['duplicates']} rows were left out."
        )
        notes = (*notes, told)
    return Parts(splits=splits, notes=notes)


def _check_lengths(file: Path, rows: Sequence[Row], request: Request, inputs: PairInputs) -> None:
    reader = CaptionIds(request.model.artifact.folder, inputs.text)
    for row in rows:
        reader.of(row.text, f"{file}, line {row.line}")
