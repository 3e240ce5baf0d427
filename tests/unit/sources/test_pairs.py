"""Images with captions as splits, and files that are none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.examples import IMAGE, decode_examples
from deployopt.core.measurement import Split
from deployopt.core.pairs import captions_of
from deployopt.core.source import Dataset, SourceModel
from deployopt.sources.data import load_dataset
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.clip_folder import SIDE, write_clip_folder

COUNT = 60


@pytest.fixture
def clip(tmp_path: Path, store: Store) -> SourceModel:
    return resolve_model(str(write_clip_folder(tmp_path / "clip")), store=store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "pairs"
    (home / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for at in range(COUNT):
        pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(home / "images" / f"{at}.png")
        rows.append({"image": f"images/{at}.png", "caption": f"a {'cat' if at % 2 else 'dog'}"})
    write(home, rows)
    return home


def write(home: Path, rows: list[dict[str, Any]], name: str = "captions.jsonl") -> Path:
    path = home / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def rows_of(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "captions.jsonl").read_text().splitlines()]


def load(path: Path, model: SourceModel, store: Store) -> Dataset:
    return load_dataset(str(path), model=model, store=store)


def test_pairs_stay_together(folder: Path, clip: SourceModel, store: Store) -> None:
    found = load(folder, clip, store)
    assert found.labelled
    assert sum(split.examples for split in found.splits.values()) == COUNT
    sizes = set()
    for split in found.splits.values():
        for example in decode_examples(split.path).inputs:
            assert not isinstance(example, str)
            sizes.add(example[IMAGE].shape)
    # The short side is the model's; the device crops.
    assert sizes == {(SIDE, 19, 3)}
    captions = captions_of(decode_examples(found.splits[Split.GATE].path).inputs, "it")
    assert set(captions) == {"a cat", "a dog"}


def test_other_columns_are_named(folder: Path, clip: SourceModel, store: Store) -> None:
    from deployopt.sources.parts import DataOptions

    rows = [{"file": row["image"], "says": row["caption"]} for row in rows_of(folder)]
    path = write(folder, rows)
    options = DataOptions(columns={"text": "says", "label": "file"})
    found = load_dataset(str(path), model=clip, store=store, options=options)
    assert found.splits[Split.GATE].examples > 10
    with pytest.raises(UsageError, match=r"no column named 'caption'.*--column text=NAME"):
        load(path, clip, store)


def test_a_second_caption_of_an_image_is_left_out(
    folder: Path, clip: SourceModel, store: Store
) -> None:
    rows = rows_of(folder)
    path = write(folder, [*rows, rows[0] | {"caption": "the dog"}])
    found = load(path, clip, store)
    assert sum(split.examples for split in found.splits.values()) == COUNT
    assert any("1 rows were left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"caption": "  "}, "line 1: the caption is empty"),
        ({"caption": "a photo of the cat of the dog"}, "line 1.*10 tokens.*reads 8 at most"),
        ({"image": "images/no.png"}, "line 1: there is no image 'images/no.png'"),
        ({"image": "../clip/config.json"}, "not named as one below the file's folder"),
        ({"image": "/etc/passwd"}, "not named as one below the file's folder"),
        ({"image": ""}, "line 1: the label is missing"),
        ({"image": f"images/{'n' * 300}.png"}, "line 1: there is no image"),
        ({"image": "captions.jsonl"}, "is not an image that can be read"),
    ],
)
def test_a_wrong_row_is_told(
    folder: Path, clip: SourceModel, store: Store, changed: dict[str, Any], why: str
) -> None:
    rows = rows_of(folder)
    with pytest.raises(UsageError, match=why):
        load(write(folder, [rows[0] | changed, *rows[1:]]), clip, store)


def test_an_image_that_is_a_link_out_is_refused(
    folder: Path, tmp_path: Path, clip: SourceModel, store: Store
) -> None:
    (folder / "images" / "0.png").rename(tmp_path / "outside.png")
    (folder / "images" / "0.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(RefusedInputError, match="outside its folder"):
        load(folder, clip, store)


def test_a_folder_of_classes_is_told_of_labels(
    folder: Path, clip: SourceModel, store: Store
) -> None:
    with pytest.raises(UsageError, match=r"no file of captions.*--labels"):
        load(folder / "images", clip, store)
    with pytest.raises(UsageError, match="no captions that are read"):
        load_dataset("hub:datasets/org/name", model=clip, store=store)
