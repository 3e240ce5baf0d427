"""Images with boxes, in COCO's form, as three splits of a detector's data.

In: the JSON file, or a folder that holds one (beside its images or in `annotations`). Out: splits
of images at the model's size with their boxes (core/boxes.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployopt.core.boxes import annotated_example
from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.core.examples import Example, Examples
from deployopt.core.interface import ImageInputs
from deployopt.core.text import safe_text
from deployopt.sources.adopting import file_entries
from deployopt.sources.checks import check_regular
from deployopt.sources.coco import Annotated, AnnotatedImage, read_coco
from deployopt.sources.image_data import model_resample, within_room
from deployopt.sources.images import image_reader, read_image
from deployopt.sources.parts import Found, Parts, Request
from deployopt.sources.splitting import Labelled, cut, without_duplicates

_BESIDE: Final = "annotations"
_SHOWN: Final = 80


def find_detections(request: Request, path: Path) -> Found:
    """A JSON file in COCO's form, or the folder that holds it.

    Raises:
        UsageError: there is none or several, or an image is missing.
        RefusedInputError: as read_coco; an image is a link out of its folder.
    """
    file = annotation_file(path)
    annotated = read_coco(file, request.model.interface.labels)
    folder = _images_folder(file, annotated.images)
    for image in annotated.images:
        _check_there(folder, image.name, file)
    entries = file_entries(folder, [image.name for image in annotated.images], request.store)
    (asked,) = file_entries(file.parent, [file.name], request.store)
    digests = [entry.sha256 for entry in entries]
    return Found(
        name=file.stem,
        origin=Origin(
            asked=request.name, resolved=f"COCO annotations {file.name}", files=(asked, *entries)
        ),
        read=lambda: _split(folder, annotated, digests, request, f"{file.stem}/{request.seed}"),
    )


def annotation_file(path: Path) -> Path:
    """The file itself, or the only JSON file of a folder or of its `annotations`.

    Raises:
        UsageError: none or several.
    """
    if not path.is_dir():
        return path
    found = [one for place in (path, path / _BESIDE) for one in sorted(place.glob("*.json"))]
    if len(found) != 1:
        shown = ", ".join(one.name for one in found[:8]) or "none"
        raise UsageError(
            f"{path} holds {len(found)} files of annotations ({shown}). A detector is judged with "
            "images and one JSON file in COCO's form: name that file with --data."
        )
    check_regular(found[0], path)
    return found[0]


def _images_folder(file: Path, images: Sequence[AnnotatedImage]) -> Path:
    """Beside the file, in `images` there, or in a folder that has the split's name (val2017)."""
    home = file.parent.parent if file.parent.name == _BESIDE else file.parent
    places = (home, home / "images", home / file.stem.rpartition("_")[2])
    first = images[0].name
    found = next((place for place in places if (place / first).is_file()), None)
    if found is None:
        looked = ", ".join(str(place) for place in dict.fromkeys(places))
        raise UsageError(
            f"{file} names the image {safe_text(first, _SHOWN)!r}, which is in none of {looked}. "
            "Put the images into one of these folders."
        )
    return found


def _check_there(folder: Path, name: str, file: Path) -> None:
    if not (folder / name).exists():
        raise UsageError(
            f"{file} names the image {safe_text(name, _SHOWN)!r}, which is not in {folder}. Put it "
            "there, or leave its entry out."
        )
    check_regular(folder / name, folder)


def _split(
    folder: Path, annotated: Annotated, digests: Sequence[str], request: Request, salt: str
) -> Parts:
    inputs = request.model.interface.inputs
    if not isinstance(inputs, ImageInputs):
        raise UsageError(f"{request.model.name} takes no images.")
    kept, counts = without_duplicates(digests, [0] * len(digests))
    content = Labelled(keys=[bytes.fromhex(digests[at]) for at in kept], classes=None)
    rows = cut(content, salt=salt, sizes=request.options.sizes, where=str(folder))
    rows, notes = within_room(rows, inputs)
    resample = model_resample(request.model)
    splits = {}
    with image_reader(folder) as reader:
        for split, at in rows.items():
            examples: list[Example] = []
            for row in at.tolist():
                image = annotated.images[kept[row]]
                size = (image.width, image.height)
                pixels = read_image(folder / image.name, inputs, resample, reader, size=size)
                examples.append(annotated_example(pixels, image.truth))
            splits[split] = Examples(inputs=examples, labels=None)
    repeated = counts["duplicates"]
    if repeated:
        notes = (*notes, f"{folder.name}: {repeated} repeated images were left out.")
    return Parts(splits=splits, notes=(*annotated.notes, *notes))
