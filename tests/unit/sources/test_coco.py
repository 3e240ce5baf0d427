"""COCO's annotations, read strictly: a stranger wrote them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources import coco
from deployopt.sources.coco import read_coco

LABELS = ("cat", "dog", "N/A")
Tree = dict[str, list[dict[str, Any]]]


def tree() -> Tree:
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg", "width": 100, "height": 50, "licence": 3},
            {"id": 2, "file_name": "a.jpg", "width": 10, "height": 10},
        ],
        "categories": [{"id": 18, "name": "Dog"}, {"id": 90, "name": "zebra"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [10, 5, 40, 20], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 18, "bbox": [99, 0, 1.5, 9], "iscrowd": 1},
        ],
    }


def written(folder: Path, content: object) -> Path:
    path = folder / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def test_boxes_become_shares_of_their_image(tmp_path: Path) -> None:
    found = read_coco(written(tmp_path, tree()), LABELS)
    assert [image.name for image in found.images] == ["a.jpg", "b.jpg"]
    assert len(found.images[0].truth.classes) == 0
    truth = found.images[1].truth
    assert truth.boxes[0].tolist() == [0.1, 0.1, 0.5, 0.5]
    # Half a pixel over the edge is a rounding, and is cut off.
    assert truth.boxes[1].tolist() == [0.99, 0.0, 1.0, 0.18]
    assert truth.classes.tolist() == [1, 1]
    assert truth.crowd.tolist() == [False, True]


def test_a_box_without_width_is_left_out_and_told(tmp_path: Path) -> None:
    content = tree()
    content["annotations"].append({"id": 3, "image_id": 2, "category_id": 18, "bbox": [1, 1, 0, 4]})
    (note,) = read_coco(written(tmp_path, content), LABELS).notes
    assert note == "boxes.json: 1 boxes without width or height were left out."


def change(part: str, at: int, **values: object) -> Callable[[Tree], None]:
    return lambda content: content[part][at].update(values)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change("annotations", 0, image_id=9), "annotation 1 is of image 9"),
        (change("annotations", 0, category_id=5), "a box is of category 5"),
        (change("annotations", 0, category_id=90), "'zebra'"),
        (change("annotations", 1, id=1), "two of its annotation entries have the id 1"),
        (change("images", 1, id=7), "two of its image entries have the id 7"),
        (change("images", 1, file_name="b.jpg"), "stands there twice"),
        (change("images", 1, file_name="a.txt"), "does not end in"),
        (change("images", 1, width=0), "is said to have 0 x 10 pixels"),
        (change("categories", 1, id=18), "two of its category entries have the id 18"),
        (change("annotations", 0, bbox=[90, 5, 40, 20]), "not inside image 7 of 100 x 50"),
        (change("annotations", 0, bbox=[10, 5, -4, 20]), "not inside image 7"),
        (change("annotations", 0, bbox=[10, 5, 40]), "not in COCO's form"),
        (change("annotations", 0, iscrowd=2), "iscrowd 2"),
        (lambda content: content.pop("categories"), "not in COCO's form"),
        (lambda content: content["annotations"].clear(), "no images with boxes"),
    ],
)
def test_what_contradicts_itself_is_an_error(
    tmp_path: Path, spoil: Callable[[Tree], object], said: str
) -> None:
    content = tree()
    spoil(content)
    with pytest.raises(UsageError, match=said):
        read_coco(written(tmp_path, content), LABELS)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/secret.jpg", "a/../../b.jpg", "a\0.jpg"])
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    content = tree()
    content["images"][0]["file_name"] = name
    with pytest.raises(RefusedInputError, match="outside the images' folder"):
        read_coco(written(tmp_path, content), LABELS)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, tree())
    path.write_text(path.read_text().replace("[10, 5, 40, 20]", "[NaN, 5, 40, 20]"))
    with pytest.raises(UsageError, match="not in COCO's form"):
        read_coco(path, LABELS)
    path.write_text(path.read_text().replace("NaN", "1e999"))
    with pytest.raises(UsageError):
        read_coco(path, LABELS)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("FILE_MAX_BYTES", 100), ("IMAGES_MAX", 1), ("BOXES_MAX", 1), ("BOXES_OF_IMAGE_MAX", 1)],
)
def test_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(coco, limit, value)
    with pytest.raises(RefusedInputError):
        read_coco(written(tmp_path, tree()), LABELS)


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text('{"images": ' + "[" * 100_000)
    with pytest.raises((RefusedInputError, UsageError)):
        read_coco(path, LABELS)
